"""How people say in English that something was decided."""

from __future__ import annotations

from memory.extraction.lexicon.phrases import Phrase, phrases
from memory.extraction.types import Statement

_DET = r"(?:the|our|their|his|her|its|a|an|this|that|your)"
_DEAL = (
    r"(?:offer|quote|quotation|proposal|contract|agreement|order|purchase order|po|budget|project|deal|pilot|trial"
    r"|price|pricing|terms|plan|package|option|business case|spend|spending|purchase|investment|statement of work"
    r"|sow|scope|discount|renewal|extension|upgrade|vendor|supplier|bid|tender|nda|msa|subscription|licen[cs]es?"
    r"|rollout|roll-out|design|timeline|schedule|request|change request|amendment|exception|concession)"
)
_NEAR = r"(?:[\w'-]+ ){0,4}"

DECISIONS: list[Phrase] = [
    *phrases(
        Statement.DECISION,
        "decision",
        (
            r"^(?:final |the |our |their |client |board )*(?:decision|outcome|resolved|agreed|decided"
            r"|conclusion)\s?[:–—-]\s"
        ),
        (
            r"\b(?:decided|elected|resolved|opted|voted|agreed|committed) (?:\w+ly )?(?:to|on|against|for"
            r"|in favou?r|not to|that|upon|with)\b"
        ),
        (
            r"\b(?:decision (?:was|has been) (?:made|taken)|decision (?:is|was) (?:final|to|that)|made (?:the|a|their"
            r"|our|up) (?:final )?(?:decision|mind|minds)|final decision is|took the decision|made the call to"
            r"|the verdict is|verdict:)\b"
        ),
        (
            r"\b(?:we|they|both sides|everyone|all parties|the (?:board|committee|team|client|customer)) (?:have "
            r"|has )?(?:all )?agreed\b(?! with)"
        ),
        r"\bit (?:is|was|has been) (?:now )?(?:decided|agreed|settled|resolved)\b",
        r"\b(?:that|this|it|which)(?: is|'s| was) (?:now )?(?:agreed|decided|settled|final|a done deal)\b",
        r"\bagreed[:,]? (?:a|an|the|price|terms|payment|net)\b",
    ),
    *phrases(
        Statement.DECISION,
        "approval",
        rf"(?<!the )(?<!an )(?<!our )(?<!their )(?<!on )\bapproved (?:{_DET} )?{_NEAR}{_DEAL}\b",
        (
            rf"\b{_DEAL} (?:\w+ )?(?:is|was|were|are|has been|have been|got|gets|been) (?:now |finally |formally "
            rf"|fully )?(?:approved|signed off|cleared|authori[sz]ed|granted|greenlit|accepted|ratified)\b"
        ),
        (
            r"\b(?:approved|authori[sz]ed|ratified|cleared|greenlit|accepted|signed off)(?: on)? (?:the|our|their"
            r"|it|this|both|a|all|up to|[€$£])"
        ),
        (
            r"\bgot (?:the )?(?:approval|sign-?off|budget approved)\b|\bapproval (?:came through|is in|was given"
            r"|granted|has come)\b"
        ),
        (
            r"\b(?:gave|given|got|have|has|received|is) (?:us |me |them )?(?:(?:a|the|their|his|her|full|formal"
            r"|final) )*(?:green light|go-ahead|thumbs[- ]up|blessing|nod)\b"
        ),
        r"\bsigned off\b",
    ),
    *phrases(
        Statement.DECISION,
        "choice",
        (
            r"(?<!the )(?<!a )(?<!our )(?<!their )\b(?:chose|chosen|selected|picked|shortlisted|short-listed|awarded"
            r"|settled on|went with|gone with|landed on|plumped for|voted for) (?!up\b|customers\b|clients\b|few\b"
            r"|group\b|for (?:its|their|his|her)\b)"
        ),
        (
            r"\b(?:took|taken|bought|ordered|purchased|booked) (?:the|our|a|an|both"
            r"|all) (?:[\w'-]+ ){0,3}(?:option|package|plan|model|version|offer|bundle|tier|licen[cs]es?"
            r"|subscription|variant|service contract|maintenance contract)\b"
        ),
        (
            r"\b(?:is|are|'re|'s|am|'m|will be|'ll be) (?:going|moving|pressing|pushing|staying"
            r"|sticking) (?:ahead |forward |on )?with\b"
        ),
        r"\b(?:will|'ll) (?:go|proceed|move forward|move ahead|stick|stay|continue) with\b",
        (
            r"\b(?:awarded|given) (?:us|the (?:contract|deal|business|project|work|tender))\b|\bwe(?:'ve"
            r"| have)? won the (?:tender|bid|contract|deal)\b"
        ),
        (
            r"\b(?:narrowed|cut|reduced) (?:it |the list )?down to\b|\bpreferred (?:supplier|vendor"
            r"|bidder) status (?:was|has been)\b"
        ),
        confidence="0.85",
    ),
    *phrases(
        Statement.DECISION,
        "signature",
        (
            r"\bcountersigned\b|^(?:and |they |she |he |we )*signed\s?[!.,]|\b(?:signed|executed) and (?:returned"
            r"|sent|dated|stamped)\b|\bsigned (?:today|yesterday|this|on|last|for|at|it|with us)\b"
        ),
        rf"\b(?:signed|countersigned|executed) (?:and returned |off )?(?:on )?(?:{_DET} )?{_NEAR}{_DEAL}\b",
        (
            rf"\b{_DEAL} (?:is|was|has been|have been|came back|got|now|are|were)(?: now| finally| fully"
            rf"| been)* (?:signed|countersigned|executed)\b"
        ),
        (
            r"\b(?:placed|issued|raised|sent(?: us| over)?|released|submitted|cut) (?:the|a|an|their|its|our"
            r"|us the|us a) (?:first |official |formal |signed )*(?:order|purchase order|po)\b"
        ),
        (
            r"\b(?:po|purchase order)(?: number)?(?: [^.;!?]{1,40})? (?:is|was|has been|has|came|just)? ?(?:issued"
            r"|received|raised|arrived|in|through|landed)\b"
        ),
        r"\bclosed[- ]won\b|\bdeal (?:is|was) (?:done|closed)\b|\bordered (?:\d|the|two|three|a )",
    ),
    *phrases(
        Statement.DECISION,
        "rejection",
        (
            rf"\b(?:rejected|declined|refused|vetoed|turned down|passed on|dropped|cancell?ed|terminated|shelved"
            rf"|scrapped|abandoned|withdrew|struck) (?:{_DET} )?{_NEAR}{_DEAL}\b"
        ),
        (
            r"\b(?:rejected|declined|vetoed|turned (?:us|it|them|this) down|ruled out|ruled (?:it|us|them|that) out"
            r"|walked away|pulled the plug|pulled out|said no to|decided against|gave notice|given notice"
            r"|killed (?:the|it))\b"
        ),
        (
            rf"\b{_DEAL} (?:\w+ )?(?:is|was|were|has been|have been|got) (?:now |officially "
            rf"|formally )?(?:rejected|declined|cancell?ed|terminated|shelved|scrapped|vetoed|turned down"
            rf"|withdrawn|dropped|called off|discontinued)\b"
        ),
        (
            r"\b(?:will not|won't|are not going to|aren't going to|is not going to"
            r"|not going to) (?:be )?(?:renew(?:ing)?|proceed(?:ing)?|buy(?:ing)?|continu(?:e|ing)|mov(?:e"
            r"|ing) (?:ahead|forward)|extend(?:ing)?|sign(?:ing)?|go(?:ing)? ahead|purchas(?:e|ing)|pursu(?:e"
            r"|ing))\b"
        ),
        (
            r"\b(?:(?:is|are|'re|am|'m|'s) not|isn't|aren't) (?:renewing|proceeding|moving (?:ahead|forward)"
            r"|continuing|extending|going (?:ahead|forward|with))\b"
        ),
        stands_negated=True,
    ),
    *phrases(
        Statement.DECISION,
        "renewal",
        (
            r"\b(?:renewed|extended|upgraded|downgraded|consolidated|standardi[sz]ed on|switched (?:to|from)"
            r"|migrated to) (?:the|their|our|its|to|for|all|on|from|onto|with)\b"
        ),
        (
            r"\b(?:confirmed|finali[sz]ed|locked in|nailed down) (?:the|their|that they|an?|they|all|both|final"
            r"|it) (?:[\w'-]+ ){0,3}(?:order|quantit(?:y|ies)|scope|price|terms|start|renewal|purchase|budget"
            r"|contract|deal|go-live|choice|will|vendor|plan)\b"
        ),
        confidence="0.80",
    ),
]
