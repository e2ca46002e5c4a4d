"""Whether two names look the same to people. Pure.

Names of users and groups may be of any script, so a Cyrillic letter can stand for a Latin one. Two names with
the same key are one name: case, width, invisible characters and letters that look alike make no difference.
"""

import re
import unicodedata

_LIKE_LATIN = (
    # Cyrillic
    ("\u0410\u0412\u0415\u0405\u0406\u0408\u041a\u041c\u041d\u041e\u0420\u0421", "ABESIJKMHOPC"),
    ("\u0422\u0423\u0425\u04ae\u04ba\u0500\u051a\u051c\u04c0\u0430\u0432\u0435", "TYXYHDQWIabe"),
    ("\u0455\u0456\u0458\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445", "sijkmhopctyx"),
    ("\u04af\u04bb\u0501\u051b\u051d\u04cf\u0433", "yhdqwlr"),
    # Greek
    ("\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4", "ABEZHIKMNOPT"),
    ("\u03a5\u03a7\u03f2\u03f9\u03f3\u037f\u03b1\u03b2\u03b3\u03b5\u03b7\u03b9", "YXcCjJabyeni"),
    ("\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03c9", "kvoptuxw"),
    # Others
    ("\u0131\u0251\u0261\u0269\u028f\u1d0f\u1d04\u1d20\u1d21\u1d22\ua731\u0578", "iagiyocvwzsn"),
    ("\u057d\u0585\u0570\u0581\u0566\u0575\u2010\u2011\u2012\u2013\u2014\u2212", "uohgqj------"),
    ("\u02d7\u2019\u2018\u02bc\u2024\u201a\u2044\u2215", "-'''.,//"),
)
"""Letters, each with the Latin one that it looks like at the same place."""
_LOOKS = str.maketrans("".join(one for one, _ in _LIKE_LATIN), "".join(two for _, two in _LIKE_LATIN))
_INVISIBLE = re.compile("[\u034f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
"""Marks that are not drawn, besides controls and formats: joiners and variation selectors."""
_NOT_DRAWN = frozenset({"Cc", "Cf", "Cs"})


def name_key(name: str) -> str:
    """Return what names that look the same have in common; empty for a name of which nothing is seen.

    Accents tell names apart: josé is not jose.
    """
    composed = _INVISIBLE.sub("", unicodedata.normalize("NFKC", name))
    seen = "".join(one for one in composed if one == "\t" or unicodedata.category(one) not in _NOT_DRAWN)
    folded = seen.translate(_LOOKS).casefold().translate(_LOOKS)
    return " ".join(unicodedata.normalize("NFKC", folded).split())
