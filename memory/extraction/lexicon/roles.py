"""How people say in English what part somebody has in buying."""

from __future__ import annotations

from memory.extraction.lexicon.phrases import Phrase, role_phrases

_IS = r"(?:is|was|'s|are|were|'re|am|'m|as|be|becomes?|became|remains?|acts? as|named|appointed|will be|being)"
_POSITION = (
    r"(?:c[efitomrsp]o|chief [a-z]+(?: [a-z]+)? officer|head of [a-z]+|(?:vice[- ]president|vp|svp|evp|director"
    r"|manager) of [a-z]+|(?:[a-z]+ )?(?:managing |finance |it |plant |operations |technical |sales |purchasing "
    r"|procurement |project |quality |engineering |maintenance |production |lab(?:oratory)? |commercial |general "
    r"|regional )+(?:director|manager|lead|head|engineer|officer)|general counsel|president|managing partner"
    r"|controller|treasurer|team lead(?:er)?)"
)

ROLES: list[Phrase] = [
    *role_phrases(
        "decision maker",
        (
            r"\bdecision[- ]?makers?\b|\b(?:final|last|ultimate) (?:say|word|decision|call)\b|\b(?:makes?|takes?"
            r"|made by|taken by|making) (?:all |the |any )?(?:final |buying |purchasing |purchase "
            r"|investment )*(?:decisions?|call)\b(?! to\b)"
        ),
        (
            r"\b(?:has|have|holds?|with|without|no) (?:a |the )?(?:final |sole |full )?(?:authority|veto"
            r"|power) (?:to|over|for|on)\b|\b(?:decision|choice|call) (?:is|will be|gets) (?:made|taken"
            r"|up to)\b(?! (?:yet|on|in|soon|next))|\b(?:decides?|decide) (?:himself|herself|themselves|jointly)\b"
            r"|\bveto (?:right|power)|\bcalls the shots\b|\bdecides (?:on|about|over|alone|what|which|whether"
            r"|everything|together)\b|\bup to (?:him|her|the (?:board|cfo|ceo|cto))\b"
        ),
    ),
    *role_phrases(
        "signatory",
        (
            r"\bsigns? (?:off )?(?:on )?(?:all |any |every |everything|the |our |their )?(?:\w+ )?(?:contracts?"
            r"|orders?|purchases?|invoices?|agreements?|pos|off|everything|anything|above|over|up to)\b"
            r"|\b(?:authori[sz]ed )?signator(?:y|ies)\b|\bapproves (?:all|any|every|everything|the|anything"
            r"|spend\w*|purchases?|orders?|invoices)\b|\bsignature of\b|\b(?:needs|requires) (?:the )?(?:signature"
            r"|sign-?off|approval) (?:of|from|by)\b"
        ),
    ),
    *role_phrases(
        "budget holder",
        (
            r"\b(?:budget[- ](?:holder|owner)|(?:holds?|owns?|controls?|manages?|has"
            r"|in charge of) (?:the )?(?:purse strings|(?:\w+ )?budget)(?! (?:of|for) [€$£\d]))\b"
        ),
    ),
    *role_phrases(
        "champion",
        (
            rf"\b{_IS} (?:our|the|a|an|their|not our|not the) (?:\w+ ){{0,2}}(?:champion|advocate|sponsor|ally"
            rf"|coach|supporter)\b|, (?:our|the|their) (?:\w+ )?(?:champion|advocate|sponsor|ally|coach"
            rf"|supporter)\b|^(?:champion|sponsor)(?: is|:)|\bchampions? (?:us|our|the)\b|\bsponsors? the\b"
        ),
    ),
    *role_phrases(
        "blocker",
        (
            rf"\b{_IS} (?:the|a|our|main|an) (?:\w+ )?(?:blocker|gatekeeper|detractor|opponent|sceptic|skeptic)\b"
            rf"|\bgatekeeper\b"
        ),
    ),
    *role_phrases(
        "evaluator",
        (
            r"\b(?:technical|security|commercial|legal) (?:evaluator|buyer|approver|reviewer|lead)\b|\b(?:leads?"
            r"|leading|runs?|running|in charge of|responsible for|drives?|heads?|heading|oversees?"
            r"|coordinates?) (?:the )?(?:\w+ ){0,2}(?:evaluation|selection|assessment|procurement|purchasing"
            r"|tender|project|rollout|roll-out|pilot|implementation|buying|integration|review|negotiations?|rfp"
            r"|team|department|plant|maintenance|it)\b"
        ),
    ),
    *role_phrases(
        "contact",
        (
            r"\b(?:main|first|primary|day-to-day|single|new|technical|commercial|key|right|best|only|our|your|my"
            r"|point of) (?:point of )?contact\b(?! (?:person for all|form|details|us|me))|\bcontact person\b"
            r"|\bgo-to (?:person|man|woman)\b|\bperson to (?:talk|speak) to\b"
        ),
    ),
    *role_phrases(
        "position",
        (
            rf"\b{_IS} (?:now |currently |also )?(?:the |their |our |its |a |an |new |acting "
            rf"|interim )*{_POSITION}\b|,(?: the| our| their)? (?:new |acting |interim )?{_POSITION},|\b(?:joined"
            rf"|started|joins|starts|hired|promoted) (?:\w+ ){{0,3}}(?:as|to) (?:the |their |our |its |new "
            rf"|a )*{_POSITION}\b"
        ),
        (
            r"\b(?:reports? (?:directly )?to|took over (?:from|as|the)|takes over (?:from|as|the)"
            r"|taking over (?:from|as|for)|successor|replace[sd] (?:him|her|mr|ms|mrs|the (?:old|former"
            r"|previous))\b|stands in for|deputy|in charge of|responsible for|is the owner of)\b"
        ),
    ),
    *role_phrases(
        "influencer",
        (
            r"\b(?:influencers?|has (?:a lot of |great |much |strong )?(?:influence|the ear of)|(?:key"
            r"|main) stakeholders?|end users?|key users?|power users?|steering committee (?:includes|consists|is)"
            r"|buying (?:centre|center|committee|group)(?: \w+)? (?:is|includes|consists|of))\b"
        ),
    ),
]
