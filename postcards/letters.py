"""Build the atlas of sign words: shape everyday words of many languages and set them in open fonts.

Only for building the dataset. Fonts: Noto (SIL Open Font License 1.1), Debian packages fonts-noto-core and
fonts-noto-cjk; Latin, Greek and Cyrillic in DejaVu (its own free licence), as shipped with matplotlib.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from geolib.common.errors import GeolibError, MissingDataError
from geolib.common.files import atomic_path, write_json
from postcards.facts import LANGUAGES

# Everyday words over shops by language: hotel, café, pharmacy, bank, market, bakery, books, school, restaurant, tea and
# the like. No word stands under two languages of one script, so that a word tells its language.
WORDS: dict[str, tuple[str, ...]] = {
    # Latin letters
    "albanian": ("FARMACI", "BUKË", "LIBRARI", "SHKOLLË", "KAFENE", "TREG", "LULE", "BANKË", "DYQAN"),
    "azerbaijani": ("APTEK", "ÇÖRƏK", "KİTAB", "MƏKTƏB", "ÇAYXANA", "MAĞAZA", "GÜL", "BAZAR"),
    "catalan": ("FARMÀCIA", "FLECA", "LLIBRERIA", "MERCAT", "BOTIGA", "CARNISSERIA", "PERRUQUERIA", "FLORS"),
    "czech": ("LÉKÁRNA", "PEKAŘSTVÍ", "KNIHY", "KAVÁRNA", "HOSPODA", "KVĚTINY", "ŘEZNICTVÍ", "CUKRÁRNA"),
    "dutch": ("APOTHEEK", "BAKKERIJ", "BOEKEN", "SLAGER", "BLOEMEN", "MARKT", "WINKEL", "FIETSEN", "KAPPER"),
    "english": ("HOTEL", "BAKERY", "PHARMACY", "BOOKS", "MARKET", "SCHOOL", "BANK", "FLOWERS", "BARBER", "SHOP"),
    "estonian": ("APTEEK", "PAGAR", "RAAMATUD", "KOOL", "KOHVIK", "LILLED", "KAUPLUS", "TURG"),
    "filipino": ("BOTIKA", "PANADERYA", "PALENGKE", "KARINDERYA", "TINDAHAN", "SARI-SARI", "PAARALAN"),
    "finnish": ("APTEEKKI", "LEIPOMO", "KIRJAT", "KOULU", "KAHVILA", "HOTELLI", "RAVINTOLA", "PANKKI", "KUKAT"),
    "french": ("PHARMACIE", "BOULANGERIE", "LIBRAIRIE", "CAFÉ", "HÔTEL", "ÉCOLE", "BOUCHERIE", "TABAC", "MARCHÉ"),
    "german": ("APOTHEKE", "BÄCKEREI", "BÜCHER", "GASTHOF", "SCHULE", "METZGEREI", "BLUMEN", "SPARKASSE", "FRISEUR"),
    "hungarian": ("GYÓGYSZERTÁR", "PÉKSÉG", "KÖNYVEK", "ISKOLA", "KÁVÉZÓ", "SZÁLLODA", "VIRÁG", "ÉTTEREM"),
    "icelandic": ("APÓTEK", "BAKARÍ", "BÓKABÚÐ", "SKÓLI", "BLÓM", "VERSLUN", "BANKI", "GISTIHÚS"),
    "indonesian": ("TOKO", "WARUNG", "RUMAH MAKAN", "PASAR", "SEKOLAH", "TOKO BUKU", "ROTI", "KOPI", "BENGKEL"),
    "italian": ("PANIFICIO", "LIBRERIA", "ALBERGO", "SCUOLA", "TABACCHI", "MACELLERIA", "GELATERIA", "TRATTORIA"),
    "latvian": ("APTIEKA", "MAIZE", "GRĀMATAS", "SKOLA", "KAFEJNĪCA", "VIESNĪCA", "TIRGUS", "ZIEDI"),
    "lithuanian": ("VAISTINĖ", "KEPYKLA", "KNYGOS", "MOKYKLA", "KAVINĖ", "VIEŠBUTIS", "TURGUS", "GĖLĖS"),
    "malagasy": ("FIVAROTANA", "TSENA", "SEKOLY", "HOTELY", "MOFO", "BOKY"),
    "malay": ("KEDAI", "FARMASI", "RESTORAN", "PASAR RAYA", "KEDAI BUKU", "KEDAI KOPI", "KLINIK", "TADIKA"),
    "nordic": ("APOTEK", "BAGERI", "BÖCKER", "BØKER", "SKOLE", "BLOMMOR", "FRISØR", "HOTELL", "KØBMAND"),
    "polish": ("APTEKA", "PIEKARNIA", "KSIĘGARNIA", "SZKOŁA", "KAWIARNIA", "KWIATY", "SKLEP", "POCZTA"),
    "portuguese": ("FARMÁCIA", "PADARIA", "LIVRARIA", "ESCOLA", "LOJA", "PASTELARIA", "MERCEARIA", "BARBEARIA"),
    "romanian": ("FARMACIE", "BRUTĂRIE", "LIBRĂRIE", "ȘCOALĂ", "CAFENEA", "PIAȚĂ", "FLORĂRIE", "COFETĂRIE"),
    "slovak": ("LEKÁREŇ", "PEKÁREŇ", "KAVIAREŇ", "KVETY", "CUKRÁREŇ", "REŠTAURÁCIA", "MÄSO", "KNIHKUPECTVO"),
    "slovenian": ("LEKARNA", "PEKARNA", "KNJIGARNA", "ŠOLA", "GOSTILNA", "TRGOVINA", "CVETLIČARNA"),
    "somali": ("FARMASHI", "HOTEEL", "DUKAAN", "SUUQ", "DUGSI", "SHAAH", "ROOTI"),
    "southslavic": ("APOTEKA", "PEKARA", "KNJIŽARA", "ŠKOLA", "CVJEĆARA", "MESNICA", "SLASTIČARNA", "TRŽNICA"),
    "spanish": ("FARMACIA", "PANADERÍA", "LIBRERÍA", "MERCADO", "ESCUELA", "TIENDA", "FERRETERÍA", "ZAPATERÍA"),
    "swahili": ("DUKA", "DUKA LA DAWA", "HOTELI", "SOKO", "SHULE", "BENKI", "MKATE", "CHAI", "MGAHAWA", "VITABU"),
    "turkish": ("ECZANE", "FIRIN", "KİTABEVİ", "OKUL", "ÇARŞI", "ÇİÇEKÇİ", "KASAP", "BAKKAL", "LOKANTA"),
    "turkmen": ("DERMANHANA", "ÇÖREK", "KITAPLAR", "MEKDEP", "ÇAÝHANA", "MYHMANHANA", "DÜKAN", "GÜLLER"),
    "uzbek": ("DORIXONA", "NON", "KITOBLAR", "MAKTAB", "CHOYXONA", "MEHMONXONA", "BOZOR", "OSHXONA"),
    "vietnamese": ("NHÀ THUỐC", "KHÁCH SẠN", "CÀ PHÊ", "NGÂN HÀNG", "CHỢ", "BÁNH MÌ", "SÁCH", "QUÁN ĂN", "PHỞ"),
    # Cyrillic letters
    "belarusian": ("АПТЭКА", "КРАМА", "ПРАДУКТЫ", "КВЕТКІ", "КНІГІ", "ЦЫРУЛЬНЯ", "РЫНАК", "ГАСЦІНІЦА"),
    "bulgarian": ("ХЛЯБ", "КНИЖАРНИЦА", "ФУРНА", "УЧИЛИЩЕ", "ЦВЕТЯ", "ПАЗАР", "ХОТЕЛ", "СЛАДКАРНИЦА"),
    "kazakh": ("ДӘРІХАНА", "НАН", "ДҮКЕН", "МЕКТЕП", "КІТАП", "АСХАНА", "ҚОНАҚ ҮЙ", "ГҮЛДЕР"),
    "kyrgyz": ("ДАРЫКАНА", "ДҮКӨН", "КИТЕП", "АШКАНА", "ЧАЙКАНА", "МЕЙМАНКАНА", "АЗЫК-ТҮЛҮК"),
    "macedonian": ("ЛЕБ", "ЦВЕЌАРА", "УЧИЛИШТЕ", "КАФЕАНА", "СЛАТКАРНИЦА", "МЕСАРНИЦА", "ФРИЗЕР"),
    "mongolian": ("ЭМИЙН САН", "ДЭЛГҮҮР", "ЗОЧИД БУУДАЛ", "СУРГУУЛЬ", "НОМ", "ЗАХ", "ЦАЙ", "ТАЛХ", "ХҮНС"),
    "russian": ("АПТЕКА", "ХЛЕБ", "КАФЕ", "БАНК", "РЫНОК", "КНИГИ", "ШКОЛА", "МУЗЕЙ", "ЦВЕТЫ", "ПРОДУКТЫ"),
    "serbian": ("АПОТЕКА", "ПЕКАРА", "КЊИЖАРА", "ПОШТА", "ПИЈАЦА", "ЦВЕЋАРА", "МЕСАРА", "ПРОДАВНИЦА"),
    "tajik": ("ДОРУХОНА", "БОЗОР", "МАКТАБ", "КИТОБ", "ЧОЙХОНА", "МЕҲМОНХОНА", "ОШХОНА", "МАҒОЗА"),
    "ukrainian": ("ХЛІБ", "КАВ’ЯРНЯ", "КРАМНИЦЯ", "КВІТИ", "ПЕРУКАРНЯ", "КНИГАРНЯ", "ЇДАЛЬНЯ", "ГОТЕЛЬ"),
    # Arabic letters
    "arabic": ("فندق", "مقهى", "صيدلية", "مخبز", "مطعم", "سوق", "مكتبة", "حلويات"),
    "kurdish": ("دەرمانخانە", "نانەواخانە", "قوتابخانە", "کتێبخانە", "بازاڕ", "چێشتخانە"),
    "persian": ("هتل", "داروخانه", "نانوایی", "کتابفروشی", "چایخانه", "رستوران", "فروشگاه", "قنادی"),
    "urdu": ("ہوٹل", "چائے", "دواخانہ", "بازار", "اسکول", "بینک", "مٹھائی", "بیکری"),
    # Devanagari
    "hindi": ("होटल", "चाय", "दवाई", "बैंक", "बाज़ार", "किताबें", "मिठाई"),
    "marathi": ("उपहारगृह", "चहा", "शाळा", "पुस्तके", "औषधे", "बँक", "किराणा"),
    "nepali": ("पसल", "औषधि", "चिया", "पुस्तक", "बजार", "विद्यालय", "खाजा घर"),
    # Bengali letters
    "assamese": ("চাহ", "কিতাপ", "বজাৰ", "দোকান", "ফাৰ্মাচী"),
    "bengali": ("হোটেল", "চা", "ঔষধ", "ব্যাংক", "বাজার", "বই", "মিষ্টি"),
    # Scripts with one language here
    "amharic": ("ሆቴል", "ቡና", "መድኃኒት", "ባንክ", "ገበያ", "መጽሐፍ"),
    "armenian": ("ՀՅՈՒՐԱՆՈՑ", "ԴԵՂԱՏՈՒՆ", "ԲԱՆԿ", "ՇՈՒԿԱ", "ՀԱՑ", "ԳՐՔԵՐ", "ԴՊՐՈՑ", "ՍՐՃԱՐԱՆ"),
    "burmese": ("ဟိုတယ်", "ကော်ဖီ", "ဈေး", "ဘဏ်", "စာအုပ်", "ဆေးဆိုင်", "လက်ဖက်ရည်"),
    "chinese": ("酒店", "茶馆", "药店", "银行", "市场", "书店", "饭馆", "面包房"),
    "dhivehi": ("ހޮޓެލް", "ފިހާރަ", "ބޭންކް", "ސްކޫލް", "މާރުކޭޓު", "ފާމަސީ", "ކެފޭ"),
    "georgian": ("სასტუმრო", "კაფე", "აფთიაქი", "ბანკი", "ბაზარი", "პური"),
    "greek": ("ΞΕΝΟΔΟΧΕΙΟ", "ΚΑΦΕ", "ΦΑΡΜΑΚΕΙΟ", "ΤΡΑΠΕΖΑ", "ΑΓΟΡΑ", "ΒΙΒΛΙΑ", "ΣΧΟΛΕΙΟ", "ΨΩΜΙ"),
    "gujarati": ("હોટલ", "ચા", "દવા", "બેંક", "બજાર", "પુસ્તકો", "મીઠાઈ"),
    "hebrew": ("מלון", "קפה", "מאפייה", "ספרים", "שוק", "בנק", "מסעדה", "פרחים"),
    "japanese": ("ホテル", "ラーメン", "くすり", "銀行", "うどん", "すし", "本屋", "カフェ"),
    "kannada": ("ಹೋಟೆಲ್", "ಕಾಫಿ", "ಔಷಧ", "ಬ್ಯಾಂಕ್", "ಮಾರುಕಟ್ಟೆ", "ಪುಸ್ತಕ", "ಶಾಲೆ", "ಬೇಕರಿ"),
    "khmer": ("សណ្ឋាគារ", "កាហ្វេ", "ផ្សារ", "ធនាគារ", "សៀវភៅ", "ឱសថស្ថាន"),
    "korean": ("호텔", "약국", "은행", "시장", "서점", "식당", "커피", "빵집"),
    "lao": ("ໂຮງແຮມ", "ກາເຟ", "ຕະຫຼາດ", "ທະນາຄານ", "ຮ້ານຢາ", "ຮ້ານອາຫານ", "ໂຮງຮຽນ", "ປຶ້ມ"),
    "malayalam": ("ഹോട്ടൽ", "ചായ", "മരുന്ന്", "ബാങ്ക്", "ചന്ത", "പുസ്തകം", "സ്കൂൾ", "ബേക്കറി"),
    "odia": ("ହୋଟେଲ", "ଚା", "ଔଷଧ", "ବ୍ୟାଙ୍କ", "ବଜାର", "ବହି", "ବିଦ୍ୟାଳୟ"),
    "punjabi": ("ਹੋਟਲ", "ਚਾਹ", "ਦਵਾਈਆਂ", "ਬੈਂਕ", "ਬਾਜ਼ਾਰ", "ਕਿਤਾਬਾਂ", "ਸਕੂਲ", "ਮਿਠਾਈ"),
    "sinhala": ("හෝටලය", "තේ", "බැංකුව", "පොත්", "වෙළඳසැල", "ෆාමසිය", "බේකරිය"),
    "tamil": ("ஹோட்டல்", "தேநீர்", "மருந்தகம்", "வங்கி", "சந்தை", "புத்தகம்", "பள்ளி", "உணவகம்"),
    "telugu": ("హోటల్", "కాఫీ", "మందులు", "బ్యాంకు", "మార్కెట్", "పుస్తకాలు", "పాఠశాల", "మిఠాయి"),
    "thai": ("โรงแรม", "กาแฟ", "ตลาด", "ธนาคาร", "ร้านยา", "หนังสือ", "อาหาร"),
    "tibetan": ("ཟ་ཁང་", "སྨན་ཁང་", "དཔེ་ཁང་", "དངུལ་ཁང་", "ཇ་ཁང་", "མགྲོན་ཁང་", "ཚོང་ཁང་", "སློབ་གྲྭ་"),
    "traditional_chinese": ("酒店", "茶館", "藥房", "銀行", "市場", "書店", "餐廳", "麵包店"),
}
_NOTO = {
    "arabic": "NotoSansArabic", "armenian": "NotoSansArmenian", "bengali": "NotoSansBengali",
    "burmese": "NotoSansMyanmar", "devanagari": "NotoSansDevanagari", "ethiopic": "NotoSansEthiopic",
    "georgian": "NotoSansGeorgian", "gujarati": "NotoSansGujarati", "gurmukhi": "NotoSansGurmukhi",
    "hebrew": "NotoSansHebrew", "kannada": "NotoSansKannada", "khmer": "NotoSansKhmer", "lao": "NotoSansLao",
    "malayalam": "NotoSansMalayalam", "odia": "NotoSansOriya", "sinhala": "NotoSansSinhala", "tamil": "NotoSansTamil",
    "telugu": "NotoSansTelugu", "thaana": "NotoSansThaana", "thai": "NotoSansThai", "tibetan": "NotoSerifTibetan",
}  # fmt: skip
_CJK = {"japanese": 0, "hangul": 1, "han": 2, "hant": 3}  # faces of NotoSansCJK-Bold.ttc
_SIZE, _WIDTH = 26, 1024


def _font(language: str, folder: Path) -> ImageFont.FreeTypeFont:
    script = LANGUAGES[language]
    if script in {"latin", "cyrillic", "greek"}:
        path, face = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans-Bold.ttf"), 0
    elif script in _CJK:
        path, face = folder / "opentype" / "noto" / "NotoSansCJK-Bold.ttc", _CJK[script]
    else:
        # Urdu is set in Nastaliq, its sloping hand; Arabic, Persian and Kurdish signs are mostly in the upright one.
        name = "NotoNastaliqUrdu" if language == "urdu" else _NOTO[script]
        path, face = folder / "truetype" / "noto" / f"{name}-Bold.ttf", 0
    if not path.is_file():
        raise MissingDataError(f"font {path} is missing: apt install fonts-noto-core fonts-noto-cjk, or give --fonts")
    return ImageFont.truetype(str(path), _SIZE, index=face, layout_engine=ImageFont.Layout.RAQM)


def build(out: Path, fonts: Path = Path("/usr/share/fonts")) -> None:
    """Write `lettering.png` (white on black, one channel) and `lettering.json` (boxes x, y, w, h a word) to `out`."""
    if not features.check("raqm"):
        raise GeolibError("Pillow lacks libraqm, which shapes the scripts: install Pillow from its official wheel")
    tiles: dict[str, list[Image.Image]] = {language: [] for language in WORDS}
    for language, row in WORDS.items():
        font = _font(language, fonts)
        for word in row:
            left, top, right, bottom = font.getbbox(word)
            tile = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
            ImageDraw.Draw(tile).text((2 - left, 2 - top), word, font=font, fill=255)
            tiles[language].append(tile)
    boxes = {language: [[0, 0, *tile.size] for tile in row] for language, row in tiles.items()}
    flat = [(tile, box) for language, row in tiles.items() for tile, box in zip(row, boxes[language], strict=True)]
    flat.sort(key=lambda pair: -pair[0].height)  # lines of tiles of one height waste little
    sheet = Image.new("L", (_WIDTH, sum(tile.height for tile, _ in flat)))
    x = y = line = 0
    for tile, box in flat:
        if x + tile.width > _WIDTH:
            x, y, line = 0, y + line + 2, 0
        sheet.paste(tile, (x, y))
        box[:2] = x, y
        x, line = x + tile.width + 2, max(line, tile.height)
    sheet = sheet.crop((0, 0, _WIDTH, y + line))
    levels = (np.asarray(sheet) // 17 * 17).astype(np.uint8)  # sixteen greys are enough and pack well
    with atomic_path(out / "lettering.png") as temporary:
        Image.fromarray(levels).save(temporary, "PNG", optimize=True)
    write_json(out / "lettering.json", {"boxes": boxes, "words": {k: list(v) for k, v in WORDS.items()}})
