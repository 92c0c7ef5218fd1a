"""What the labelled data is made of: names of people from Faker's lists, words of companies, formats of countries.

Pure data. The nicknames are a list of its own, after the given-name table that FEBRL ships (Christen, "Febrl: an open
source data cleaning, deduplication and record linkage system", KDD 2008): what FlowLedger matches with is another one,
so that neither side is measured by the list that it was made from.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Country:
    """Where companies are: their legal forms, domains, phones, and the names of the people there."""

    code: str
    locale: str
    share: int
    legal_forms: tuple[str, ...]
    suffixes: tuple[str, ...]
    dial: str
    mobile: tuple[str, ...]
    mobile_digits: int
    landline: tuple[str, ...]
    landline_digits: int
    free_mail: tuple[str, ...]
    trades: tuple[str, ...]
    cities: tuple[str, ...]
    language: str


# Digits are those that follow the prefix; the shares are of a sales organisation in the middle of Europe.
COUNTRIES = (
    Country("DE", "de_DE", 24, ("GmbH", "GmbH & Co. KG", "AG", "KG", "UG", "e.K.", "SE"), ("de", "de", "com", "eu"),
            "49", ("151", "160", "171", "176"), 8, ("30", "40", "89", "221"), 7, ("gmx.de", "web.de", "t-online.de"),
            ("Logistik", "Maschinenbau", "Elektrotechnik", "Immobilien", "Bau", "Medizintechnik", "Druck", "Handel",
             "Werkzeuge", "Metallbau", "Spedition", "Beratung", "Versicherungen", "Gebäudetechnik", "Anlagenbau"),
            ("Hamburg", "Berlin", "München", "Köln", "Leipzig", "Stuttgart"), "Deutschland"),
    Country("US", "en_US", 20, ("Inc.", "LLC", "Corp.", "Inc", "Company", "LLP"), ("com", "com", "com", "net", "io"),
            "1", ("212", "415", "312", "617"), 7, ("646", "213", "404"), 7,
            ("yahoo.com", "gmail.com", "aol.com", "outlook.com"),
            ("Logistics", "Manufacturing", "Insurance", "Software", "Foods", "Medical", "Energy", "Construction",
             "Consulting", "Pharmaceuticals", "Properties", "Financial", "Industries", "Supply", "Engineering"),
            ("Boston", "Denver", "Chicago", "Austin", "Seattle", "Atlanta"), "America"),
    Country("GB", "en_GB", 12, ("Ltd", "Limited", "PLC", "LLP", "Ltd."), ("co.uk", "co.uk", "com", "uk"),
            "44", ("7400", "7700", "7911"), 6, ("20", "16", "13"), 8, ("btinternet.com", "yahoo.co.uk", "gmail.com"),
            ("Logistics", "Engineering", "Interiors", "Solicitors", "Foods", "Systems", "Holdings", "Recruitment",
             "Consulting", "Printing", "Services", "Partners", "Construction", "Fabrications", "Estates"),
            ("London", "Leeds", "Bristol", "Manchester", "Cardiff"), "UK"),
    Country("FR", "fr_FR", 9, ("SAS", "SARL", "S.A.", "SASU", "SA"), ("fr", "fr", "com"),
            "33", ("6", "7"), 8, ("1", "4"), 8, ("orange.fr", "free.fr", "laposte.net"),
            ("Logistique", "Conseil", "Industrie", "Immobilier", "Assurances", "Distribution", "Transports",
             "Bâtiment", "Énergie", "Emballage", "Santé", "Électricité"),
            ("Lyon", "Paris", "Lille", "Nantes", "Bordeaux"), "France"),
    Country("ES", "es_ES", 6, ("S.L.", "S.A.", "SL", "S.L.U."), ("es", "es", "com"),
            "34", ("6", "7"), 8, ("91", "93"), 7, ("hotmail.es", "yahoo.es", "gmail.com"),
            ("Logística", "Construcciones", "Ingeniería", "Consultores", "Alimentación", "Transportes", "Energía",
             "Soluciones", "Inmobiliaria", "Seguros"),
            ("Madrid", "Sevilla", "Valencia", "Bilbao"), "Ibérica"),
    Country("IT", "it_IT", 5, ("S.r.l.", "S.p.A.", "Srl", "S.n.c."), ("it", "it", "com"),
            "39", ("32", "33", "34"), 8, ("02", "06"), 8, ("libero.it", "alice.it", "virgilio.it"),
            ("Logistica", "Costruzioni", "Meccanica", "Impianti", "Alimentari", "Trasporti", "Energia", "Servizi"),
            ("Milano", "Torino", "Bologna", "Verona"), "Italia"),
    Country("NL", "nl_NL", 5, ("B.V.", "BV", "N.V.", "V.O.F."), ("nl", "nl", "com"),
            "31", ("6",), 8, ("20", "10"), 7, ("ziggo.nl", "kpnmail.nl", "gmail.com"),
            ("Logistiek", "Bouw", "Techniek", "Verzekeringen", "Transport", "Advies", "Installaties", "Groep"),
            ("Amsterdam", "Rotterdam", "Utrecht", "Eindhoven"), "Nederland"),
    Country("SE", "sv_SE", 3, ("AB", "Aktiebolag"), ("se", "se", "com"),
            "46", ("70", "73", "76"), 7, ("8",), 7, ("telia.com", "hotmail.se", "gmail.com"),
            ("Logistik", "Bygg", "Teknik", "Fastigheter", "Försäkring", "Energi", "Konsult"),
            ("Stockholm", "Göteborg", "Malmö", "Västerås"), "Sverige"),
    Country("CZ", "cs_CZ", 3, ("s.r.o.", "a.s.", "spol. s r.o."), ("cz", "cz", "com"),
            "420", ("602", "728"), 6, ("2",), 8, ("seznam.cz", "email.cz", "centrum.cz"),
            ("Logistika", "Stavby", "Strojírna", "Energie", "Doprava", "Servis"),
            ("Praha", "Brno", "Ostrava"), "Czech"),
    Country("TR", "tr_TR", 3, ("A.Ş.", "Ltd. Şti.", "AŞ"), ("com.tr", "com.tr", "com"),
            "90", ("532", "542", "555"), 7, ("212", "312"), 7, ("hotmail.com", "gmail.com", "yandex.com"),
            ("Lojistik", "İnşaat", "Enerji", "Gıda", "Tekstil", "Makina", "Sigorta"),
            ("İstanbul", "Ankara", "İzmir", "Bursa"), "Türkiye"),
    Country("IN", "en_IN", 4, ("Pvt. Ltd.", "Private Limited", "Ltd.", "LLP"), ("in", "co.in", "com"),
            "91", ("98", "97", "99"), 8, ("22", "80"), 8, ("rediffmail.com", "yahoo.co.in", "gmail.com"),
            ("Logistics", "Textiles", "Infotech", "Exports", "Pharma", "Engineering", "Enterprises", "Chemicals"),
            ("Mumbai", "Pune", "Chennai", "Delhi"), "India"),
    Country("BG", "bg_BG", 2, ("ООД", "ЕООД", "АД"), ("bg", "bg", "com"),
            "359", ("88", "89"), 7, ("2",), 7, ("gmail.com", "yahoo.com", "hotmail.com"),
            ("Логистика", "Строй", "Енерджи", "Транс", "Инвест", "Сервиз"),
            ("София", "Варна", "Пловдив"), "Bulgaria"),
    Country("GR", "el_GR", 2, ("Α.Ε.", "Ε.Π.Ε.", "ΑΕ"), ("gr", "gr", "com"),
            "30", ("694", "697"), 7, ("210",), 7, ("yahoo.gr", "gmail.com", "hotmail.com"),
            ("Μεταφορές", "Κατασκευές", "Ενέργεια", "Τρόφιμα", "Σύμβουλοι"),
            ("Αθήνα", "Πάτρα", "Λάρισα"), "Hellas"),
    Country("UA", "uk_UA", 2, ("ТОВ", "ПП"), ("com.ua", "ua", "com"),
            "380", ("50", "67", "93"), 7, ("44",), 7, ("gmail.com", "yahoo.com", "hotmail.com"),
            ("Логістика", "Буд", "Енерго", "Транс", "Агро", "Сервіс"),
            ("Київ", "Львів", "Одеса"), "Ukraine"),
)  # fmt: skip


# Whose own letters are not Latin ones.
OTHER_SCRIPTS = frozenset({"BG", "GR", "UA"})


@dataclass(frozen=True)
class Names:
    """Given and family names of one culture, the frequent ones first."""

    female: tuple[str, ...]
    male: tuple[str, ...]
    family_of_women: tuple[str, ...]
    family_of_men: tuple[str, ...]


@cache
def names_of(locale: str) -> Names:
    """Faker's lists of a locale."""
    provider = importlib.import_module(f"faker.providers.person.{locale}").Provider
    family = tuple(_in_order(name) for name in provider.last_names)
    return Names(
        female=tuple(provider.first_names_female),
        male=tuple(provider.first_names_male),
        family_of_women=tuple(getattr(provider, "last_names_female", family)),
        family_of_men=tuple(getattr(provider, "last_names_male", family)),
    )


def _in_order(name: str) -> str:
    """`Bourgondië, van` as it is spoken."""
    last, comma, particle = name.partition(", ")
    return f"{particle} {last}" if comma else name


SYLLABLES = tuple(
    word
    for line in (
        "al ba ber bri cal cor da del dy el en fa fin for gal gen gra hel in ka kor la li lo lum ma mar mer mi mon na",
        "neo no nor nova o om or pa per pri qua ra ren ri ro sa sil so sta su ta tel ter tra tri u va",
        "vel ver vi vo xen ze",
    )
    for word in line.split()
)
ENDINGS = ("ra", "ris", "tec", "trix", "via", "tis", "nia", "lux", "dyn", "sys", "mex", "ton", "vista", "net", "gen")
GENERAL_TRADES = ("Systems", "Software", "Solutions", "Technologies", "Digital", "Labs", "Analytics", "Robotics")
# One trade for another: the look-alikes.
DIVISIONS = ("Digital Services", "Financial Services", "Real Estate", "Ventures", "Logistics", "Research", "Energy")

JOB_TITLES = (
    "Managing Director", "CEO", "CFO", "Head of Procurement", "Purchasing Manager", "IT Manager", "Operations Manager",
    "Plant Manager", "Marketing Manager", "Office Manager", "Head of Sales", "Project Manager", "Buyer", "Controller",
    "HR Manager", "Facility Manager", "Quality Manager", "Geschäftsführer", "Einkaufsleiter", "Directeur", "Director",
)  # fmt: skip

HONORIFICS = ("Dr.", "Prof.", "Prof. Dr.", "Dipl.-Ing.", "Mr.", "Mrs", "Ms.", "Herr", "Frau", "M.", "Mme", "Sig.")
SUFFIXES = ("Jr.", "MBA", "PhD", "M.Sc.", "CPA", "III")

# Groups of given names that stand for each other.
_NICKNAME_LINES = (Path(__file__).parent / "nicknames.txt").read_text(encoding="utf-8").splitlines()
NICKNAMES = tuple(tuple(line.split()) for line in _NICKNAME_LINES)

# Key beside key on an English keyboard, as FEBRL's generator has them.
NEIGHBOURS = {
    "q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok", "o": "ipl",
    "p": "ol", "a": "qsz", "s": "adwx", "d": "sfec", "f": "dgrv", "g": "fhtb", "h": "gjyn", "j": "hkum", "k": "jli",
    "l": "kop", "z": "axs", "x": "zcsd", "c": "xvdf", "v": "cbfg", "b": "vngh", "n": "bmhj", "m": "njk",
}  # fmt: skip

# What readers of scanned cards take for each other (GeCo's table of OCR variations).
OCR = (
    ("rn", "m"), ("m", "rn"), ("cl", "d"), ("d", "cl"), ("l", "1"), ("I", "l"), ("O", "0"), ("o", "0"), ("S", "5"),
    ("B", "8"), ("g", "q"), ("h", "b"), ("li", "h"), ("vv", "w"), ("w", "vv"), ("Z", "2"), ("e", "c"), ("ii", "u"),
    ("t", "f"), ("G", "6"), ("n", "ri"), ("in", "m"), ("ü", "u"), ("ä", "a"), ("é", "e"), ("i", "l"),
)  # fmt: skip

# What is heard and written down (a choice of GeCo's phonetic variations, which come from Soundex, Phonex and NYSIIS).
PHONETIC = (
    ("ph", "f"), ("f", "ph"), ("ck", "k"), ("k", "ck"), ("c", "k"), ("k", "c"), ("th", "t"), ("t", "th"), ("ie", "y"),
    ("y", "i"), ("i", "y"), ("sch", "sh"), ("sh", "sch"), ("tz", "z"), ("z", "s"), ("s", "z"), ("ss", "s"),
    ("ll", "l"), ("nn", "n"), ("mm", "m"), ("tt", "t"), ("rr", "r"), ("l", "ll"), ("n", "nn"), ("ai", "ei"),
    ("ei", "ai"), ("ey", "ay"), ("ae", "e"), ("ou", "u"), ("ee", "ea"), ("ow", "au"), ("v", "w"), ("w", "v"),
    ("gn", "n"), ("kn", "n"), ("wr", "r"), ("qu", "kw"), ("x", "ks"), ("dt", "t"), ("h", ""), ("er", "ar"),
    ("sen", "son"), ("son", "sen"), ("d", "t"), ("b", "p"), ("g", "k"),
)  # fmt: skip

# Ways of writing other letters in ASCII; the first is what mail addresses are made with.
LATIN = {
    "ä": ("ae", "a"), "ö": ("oe", "o"), "ü": ("ue", "u"), "ß": ("ss", "ss"), "å": ("a", "aa"), "æ": ("ae", "ae"),
    "ø": ("o", "oe"), "ı": ("i", "i"), "ł": ("l", "l"), "đ": ("d", "dj"),
}  # fmt: skip
# Bulgarian and Ukrainian by their laws of transliteration first, then as people also write it.
CYRILLIC = {
    "а": ("a", "a"), "б": ("b", "b"), "в": ("v", "w"), "г": ("g", "h"), "ґ": ("g", "g"), "д": ("d", "d"),
    "е": ("e", "e"), "є": ("ie", "ye"), "ж": ("zh", "j"), "з": ("z", "z"), "и": ("i", "y"), "і": ("i", "i"),
    "ї": ("i", "yi"), "й": ("y", "i"), "к": ("k", "k"), "л": ("l", "l"), "м": ("m", "m"), "н": ("n", "n"),
    "о": ("o", "o"), "п": ("p", "p"), "р": ("r", "r"), "с": ("s", "s"), "т": ("t", "t"), "у": ("u", "ou"),
    "ф": ("f", "ph"), "х": ("h", "kh"), "ц": ("ts", "c"), "ч": ("ch", "tch"), "ш": ("sh", "sch"),
    "щ": ("sht", "shch"), "ъ": ("a", "u"), "ь": ("", "y"), "ю": ("yu", "iu"), "я": ("ya", "ia"), "ы": ("y", "i"),
    "э": ("e", "e"), "ё": ("e", "yo"), "’": ("", ""),
}  # fmt: skip
# ELOT 743, then as people also write it.
GREEK = {
    "α": ("a", "a"), "β": ("v", "b"), "γ": ("g", "gh"), "δ": ("d", "th"), "ε": ("e", "e"), "ζ": ("z", "z"),
    "η": ("i", "e"), "θ": ("th", "th"), "ι": ("i", "i"), "κ": ("k", "c"), "λ": ("l", "l"), "μ": ("m", "m"),
    "ν": ("n", "n"), "ξ": ("x", "ks"), "ο": ("o", "o"), "π": ("p", "p"), "ρ": ("r", "r"), "σ": ("s", "s"),
    "ς": ("s", "s"), "τ": ("t", "t"), "υ": ("y", "u"), "φ": ("f", "ph"), "χ": ("ch", "h"), "ψ": ("ps", "ps"),
    "ω": ("o", "w"),
}  # fmt: skip

# Words of company names that people shorten.
ABBREVIATIONS = {
    "Manufacturing": "Mfg", "Engineering": "Eng.", "Technologies": "Tech", "Systems": "Sys", "Services": "Svcs",
    "Construction": "Constr.", "International": "Intl", "Consulting": "Cons.", "Solutions": "Sol.",
    "Pharmaceuticals": "Pharma", "Industries": "Ind.", "Logistics": "Log.", "Maschinenbau": "Maschb.",
    "Elektrotechnik": "E-Technik", "Versicherungen": "Vers.", "Immobilien": "Immo", "Financial": "Fin.",
    "Properties": "Props", "Construcciones": "Constr.", "Ingeniería": "Ing.", "Transports": "Transp.",
    "Costruzioni": "Costr.", "Distribution": "Distrib.", "Software": "SW", "Holdings": "Hldgs",
}  # fmt: skip
DEPARTMENTS = ("Purchasing", "Sales", "IT", "Marketing", "Einkauf", "Head Office", "HQ", "Werk 2", "Accounts")
