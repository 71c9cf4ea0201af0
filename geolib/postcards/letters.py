"""Build the atlas of sign words: shape everyday words in their own scripts and set them in open fonts.

Only for building the dataset. Fonts: Noto (SIL Open Font License 1.1), Debian packages fonts-noto-core and
fonts-noto-cjk; Latin, Greek and Cyrillic in DejaVu (its own free licence), as shipped with matplotlib.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from geolib.errors import GeolibError, MissingDataError
from geolib.files import atomic_path, write_json

# Everyday words over shops: hotel, café, pharmacy, bank, market, bakery, books, school, restaurant, tea and the like.
WORDS: dict[str, tuple[str, ...]] = {
    "latin": ("HOTEL", "CAFE", "BAR", "TAXI", "BANK", "SHOP", "MARKET", "PIZZA", "FOTO", "MUSEUM", "RADIO", "SALON"),
    "cyrillic": ("АПТЕКА", "ХЛЕБ", "КАФЕ", "БАНК", "РЫНОК", "КНИГИ", "ШКОЛА", "МУЗЕЙ", "ЦВЕТЫ", "ПОЧТА"),
    "greek": ("ΞΕΝΟΔΟΧΕΙΟ", "ΚΑΦΕ", "ΦΑΡΜΑΚΕΙΟ", "ΤΡΑΠΕΖΑ", "ΑΓΟΡΑ", "ΒΙΒΛΙΑ", "ΣΧΟΛΕΙΟ", "ΨΩΜΙ"),
    "arabic": ("فندق", "مقهى", "صيدلية", "مخبز", "مطعم", "سوق", "مدرسة", "مكتبة"),
    "hebrew": ("מלון", "קפה", "מאפייה", "ספרים", "שוק", "בנק", "מסעדה", "פרחים"),
    "han": ("酒店", "茶馆", "药店", "银行", "市场", "书店", "饭馆", "面包房"),
    "hant": ("酒店", "茶館", "藥房", "銀行", "市場", "書店", "餐廳", "麵包店"),
    "japanese": ("ホテル", "ラーメン", "くすり", "銀行", "うどん", "すし", "本屋", "カフェ"),
    "hangul": ("호텔", "약국", "은행", "시장", "서점", "식당", "커피", "빵집"),
    "thai": ("โรงแรม", "กาแฟ", "ตลาด", "ธนาคาร", "ร้านยา", "หนังสือ", "อาหาร"),
    "devanagari": ("होटल", "चाय", "दवाई", "बैंक", "बाज़ार", "किताबें", "मिठाई"),
    "bengali": ("হোটেল", "চা", "ঔষধ", "ব্যাংক", "বাজার", "বই", "মিষ্টি"),
    "sinhala": ("හෝටලය", "තේ", "බැංකුව", "පොත්", "වෙළඳසැල"),
    "khmer": ("សណ្ឋាគារ", "កាហ្វេ", "ផ្សារ", "ធនាគារ", "សៀវភៅ"),
    "burmese": ("ဟိုတယ်", "ကော်ဖီ", "ဈေး", "ဘဏ်", "စာအုပ်"),
    "georgian": ("სასტუმრო", "კაფე", "აფთიაქი", "ბანკი", "ბაზარი", "პური"),
    "ethiopic": ("ሆቴል", "ቡና", "መድኃኒት", "ባንክ", "ገበያ", "መጽሐፍ"),
}
_NOTO = {
    "arabic": "NotoSansArabic-Bold.ttf", "hebrew": "NotoSansHebrew-Bold.ttf", "thai": "NotoSansThai-Bold.ttf",
    "devanagari": "NotoSansDevanagari-Bold.ttf", "bengali": "NotoSansBengali-Bold.ttf",
    "sinhala": "NotoSansSinhala-Bold.ttf", "khmer": "NotoSansKhmer-Bold.ttf", "burmese": "NotoSansMyanmar-Bold.ttf",
    "georgian": "NotoSansGeorgian-Bold.ttf", "ethiopic": "NotoSansEthiopic-Bold.ttf",
}  # fmt: skip
_CJK = {"japanese": 0, "hangul": 1, "han": 2, "hant": 3}  # faces of NotoSansCJK-Bold.ttc
_SIZE, _WIDTH = 40, 1024


def _font(script: str, folder: Path) -> ImageFont.FreeTypeFont:
    if script in {"latin", "cyrillic", "greek"}:
        path, face = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf"), 0
    elif script in _CJK:
        path, face = folder / "opentype" / "noto" / "NotoSansCJK-Bold.ttc", _CJK[script]
    else:
        path, face = folder / "truetype" / "noto" / _NOTO[script], 0
    if not path.is_file():
        raise MissingDataError(f"font {path} is missing: apt install fonts-noto-core fonts-noto-cjk, or give --fonts")
    return ImageFont.truetype(str(path), _SIZE, index=face, layout_engine=ImageFont.Layout.RAQM)


def build(out: Path, fonts: Path = Path("/usr/share/fonts")) -> None:
    """Write `lettering.png` (white on black, one channel) and `lettering.json` (boxes x, y, w, h a word) to `out`."""
    if not features.check("raqm"):
        raise GeolibError("Pillow lacks libraqm, which shapes the scripts: install Pillow from its official wheel")
    tiles: list[tuple[str, Image.Image]] = []
    for script, row in WORDS.items():
        font = _font(script, fonts)
        for word in row:
            left, top, right, bottom = font.getbbox(word)
            tile = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
            ImageDraw.Draw(tile).text((2 - left, 2 - top), word, font=font, fill=255)
            tiles.append((script, tile))
    boxes: dict[str, list[list[int]]] = {script: [] for script in WORDS}
    sheet = Image.new("L", (_WIDTH, 2048))
    x = y = line = 0
    for script, tile in tiles:
        if x + tile.width > _WIDTH:
            x, y, line = 0, y + line + 2, 0
        sheet.paste(tile, (x, y))
        boxes[script].append([x, y, tile.width, tile.height])
        x, line = x + tile.width + 2, max(line, tile.height)
    sheet = sheet.crop((0, 0, _WIDTH, y + line))
    levels = (np.asarray(sheet) // 17 * 17).astype(np.uint8)  # sixteen greys are enough and pack well
    with atomic_path(out / "lettering.png") as temporary:
        Image.fromarray(levels).save(temporary, "PNG", optimize=True)
    write_json(out / "lettering.json", {"boxes": boxes, "words": {k: list(v) for k, v in WORDS.items()}})
