"""How people say in English what somebody likes, and how they want to be treated."""

from __future__ import annotations

from memory.extraction.lexicon.phrases import Phrase, phrases
from memory.extraction.types import Statement

_CHANNEL = (
    r"(?:e-?mails?|phone|telephone|calls?|call|text(?: messages?)?|sms|whatsapp|teams|slack|zoom|video(?: calls?"
    r"| conferences?)?|face[- ]to[- ]face|in person|in writing|letters?|post|meetings?|site visits?|written"
    r"|landline|mobile|linkedin)"
)
_WANTS = (
    r"(?:prefers?|preferred|would prefer|'d prefer|would rather|'d rather|favou?rs?|likes? to|would like|'d like"
    r"|wants?|insists?|insisted|asked|asks|needs?|expects?|demands?)"
)

PREFERENCES: list[Phrase] = [
    *phrases(
        Statement.PREFERENCE,
        "channel",
        (
            rf"\b{_WANTS}\b(?: [\w',-]+){{0,7}} (?:by|via|on|over|through|per|in) (?:the |his |her |their |my "
            rf"|our )?{_CHANNEL}\b"
        ),
        (
            rf"\b(?:prefers?|preferred|favou?rs?|rather have|rather get|rather receive|likes?|loves?|hates?"
            rf"|dislikes?|can't stand|avoids?|responds? (?:best|better|only|faster|quicker)|reached|best reached"
            rf"|reachable|easiest to reach|reach (?:him|her|them|me))\b(?: [\w',-]+){{0,4}} {_CHANNEL}\b"
        ),
        (
            rf"\b{_CHANNEL} (?:is|are|works?|work) (?:\w+ )?(?:best|better|preferred|fine|easier|easiest|the best"
            rf"|fastest)\b|\bbest (?:by|via|on|over|through) {_CHANNEL}\b"
        ),
        (
            r"\b(?:do not|don't|never|please stop|stop|no (?:more )?|not to|please avoid"
            r"|avoid) (?:\w+ )?(?:call(?:s|ing)?|phon(?:e|ing)|ring(?:ing)?|email(?:s|ing)?|e-mail(?:s|ing)?"
            r"|text(?:s|ing)?|cold[- ]call(?:s|ing)?|visit(?:s|ing)?|contact(?:ing)?|messag(?:e|es|ing)"
            r"|copy(?:ing)?)\b"
        ),
        (
            rf"\b(?:only|always|exclusively|strictly|just|please)(?: [\w']+){{0,4}} (?:by|via|over|through"
            rf"|on) {_CHANNEL}\b|\b(?:by|via|over) {_CHANNEL} (?:only|please|instead|rather)\b"
            rf"|\b{_CHANNEL} (?:only|instead|rather than|over|not)\b"
        ),
        stands_negated=True,
    ),
    *phrases(
        Statement.PREFERENCE,
        "time",
        (
            r"\b(?:prefers?|preferred|best|easiest|likes?|available|reachable|free|works?|reached|wants?|only"
            r"|never|not|don't|asked|suits?|good)\b(?: [\w',:-]+){0,6} (?:in the (?:mornings?|afternoons?"
            r"|evenings?)|mornings|afternoons|evenings|before \d{1,2}\b|after \d{1,2}\b|before noon|after lunch"
            r"|before lunch|(?:mon|tues|wednes|thurs|fri|satur|sun)days|weekends|school hours|office hours"
            r"|early (?:morning|afternoon)s?|late (?:afternoon|evening)s?)\b"
        ),
        (
            r"\b(?:mornings|afternoons|evenings|(?:mon|tues|wednes|thurs|fri)days)(?: [\w']+){0,3} (?:best|better"
            r"|suits?|preferred|works? (?:well|for)|are (?:bad|good|out|off))\b"
        ),
        (
            r"\bno (?:calls|meetings|visits|deliveries) (?:on|before|after|during|in the)\b|\b(?:wants?|wanted"
            r"|would like|'d like|prefers?|expects?|asked for|asks for|needs?|insists? on"
            r"|likes?) (?:[\w'-]+ ){0,3}(?:every|once a|twice a|daily|weekly|monthly|quarterly|biweekly"
            r"|fortnightly|regular)\b"
        ),
        confidence="0.80",
        stands_negated=True,
    ),
    *phrases(
        Statement.PREFERENCE,
        "commercial",
        (
            rf"\b{_WANTS}\b(?: [\w',-]+){{0,7}} (?:net[ -]?\d+|invoic\w+|payment terms|instal?ments?|annual(?:ly)?"
            rf"|yearly|monthly|quarterly|upfront|up front|in advance|fixed[- ]price|flat[- ](?:fee|rate)|leas(?:e"
            rf"|ing)|rental|subscription|pay[- ]as[- ]you[- ]go|perpetual licen[cs]e|one invoice|warranty"
            rf"|framework (?:agreement|contract)|multi-year|discount)\b"
        ),
        stands_negated=True,
    ),
    *phrases(
        Statement.PREFERENCE,
        "format",
        (
            rf"\b{_WANTS}\b(?: [\w',-]+){{0,7}} (?:one[- ]pagers?|pdfs?|slides?|powerpoint|excel|spreadsheets?"
            rf"|decks?|drawings|bullet points|summar(?:y|ies)|short (?:reports?|documents?|proposals?)"
            rf"|data sheets?|hard cop(?:y|ies)|printed|references|case studies|agenda|minutes|in (?:german|english"
            rf"|french|spanish|italian|dutch|polish|danish|swedish|japanese|portuguese))\b"
        ),
        (
            r"\b(?:keep|make) (?:it|them|emails?|messages?|proposals?|reports?|meetings?|things"
            r"|everything) (?:\w+ )?(?:short|brief|concise|simple|under|to (?:one|two|a) page)\b"
        ),
        stands_negated=True,
    ),
    *phrases(
        Statement.PREFERENCE,
        "preference",
        (
            r"\b(?:prefers?|preferred (?:to|that|a|an|the|our|not|us|option|choice|way|method|supplier|vendor)"
            r"|preference (?:is|for|was)|preference:|preferences:|strong preference|clear preference|would prefer"
            r"|'d prefer)\b"
        ),
        (
            r"\b(?:would|'d) (?:much |really )?(?:rather|sooner)\b|\b(?:insists?|insisted|insisting|keen) (?:on"
            r"|that)\b|\b(?:favou?rs|favou?red|favou?rite|partial to|fond of|big fan of|fan of|has a soft spot"
            r"|soft spot for|swears by|leans? towards?|leaning towards?)\b"
        ),
        (
            r"\b(?:hates?|dislikes?|loves?|can't stand|cannot stand|is allergic to|detests?|doesn't like"
            r"|does not like|don't like|do not like|not a fan of|no fan of|appreciates?"
            r"|values?)\b(?! (?:proposition|added|chain|stream|for money|of|\d))"
        ),
        (
            r"\b(?:wants?|wishes|would like|'d like|asked|asks|expects?|needs?|requires?|requested|requests"
            r"|insists?)\b(?: [\w'-]+){0,3} (?:always|only|never|exclusively|single|one|dedicated|same)\b"
            r"|\b(?:always|only|never) (?:asks?|wants?|buys?|accepts?|works?|takes?|reads?|meets?|answers?|deals?"
            r"|orders?|signs? for|uses?|speaks?|talks?)\b"
        ),
        (
            r"\b(?:likes?|wishes|would like|'d like|prefers?|asked|asks|loves?) to (?:be|have|get|receive|see|meet"
            r"|start|read|hear|know in|keep|work|use|buy|pay|test|try|talk|speak|do|review)\b|\bwants? to (?:be"
            r"|have|get|receive|see|hear|meet|keep|test|try|start)\b|\b(?:wishes|wish) to\b"
        ),
        (
            r"^(?:please )?(?:only |always |never )?(?:call|text|email|e-mail|write|ring|contact|visit|use|send"
            r"|come|speak|copy|address|meet)\b[^.;]{0,80}\b(?:instead|only|rather|after|first|always|never|not"
            r"|before|unless)\b|^(?:only|always|never) (?:call|text|email|write|ring|contact|visit|use|send|come"
            r"|speak|copy|bring|meet|address)\b"
        ),
        (
            r"\bit is (?:very |really )?important (?:to|for|that)\b|\bimportant (?:to|for) (?:the |our "
            r"|their )?\w+\b|\b(?:like|likes|liked|loves|appreciates|values) (?:our|the|a|an|his|her|their)\b"
        ),
        (
            r"\b(?:must|has to|have to|should) (?:always|never|only)\b|\bdeal[- ]?breaker (?:for|if|is)\b"
            r"|\b(?:important|matters|matters most|crucial|key) to (?:him|her|them|me|us)\b"
        ),
        confidence="0.80",
        stands_negated=True,
    ),
]
