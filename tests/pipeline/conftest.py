"""The encoder of the tests of embedding: small, with random weights."""

import pytest
from tiny import write_encoder

from geolib.encoder import Encoder


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def encoder(model_folder):
    return Encoder.load(model_folder, device="cpu")
