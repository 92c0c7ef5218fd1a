"""How people say in English what endangers a deal or a customer."""

from __future__ import annotations

from memory.extraction.lexicon.phrases import Phrase, phrases
from memory.extraction.types import Statement

_COMPETITOR = (
    r"(?:competitors?|competing|competition|rivals?|incumbent|another (?:vendor|supplier|provider|bidder|company)"
    r"|other (?:vendors|suppliers|providers|bidders)|alternatives?)"
)
_GONE = (
    r"(?:left|leaving|leaves|resigned|resigning|quit|quitting|retired|retiring|retires|departed|departing"
    r"|moving on|moved on|been let go|laid off|on (?:sick|long-term|maternity|parental) leave)"
)

RISKS: list[Phrase] = [
    *phrases(
        Statement.RISK,
        "budget",
        (
            r"\b(?:budgets?|spend(?:ing)?|funding|funds|capex|hiring|headcount"
            r"|investments?)(?: [\w'-]+){0,4} (?:frozen|on hold|cut|slashed|reduced|blocked|exhausted|uncertain"
            r"|unclear|tight|under review|under pressure|gone|used up|spent|pulled|at risk|run out|dried up"
            r"|squeezed|halved|shrunk|in doubt|not (?:yet )?(?:approved|secured|confirmed|allocated))\b"
        ),
        (
            r"\b(?:budget|spending|hiring|capex|investment|purchasing) (?:freeze|cuts?|stop|squeeze|ban"
            r"|constraints?|shortfall|gap|issues?|problems?|reductions?)\b"
        ),
        (
            r"\b(?:cuts?|cutting) (?:all |their |its |the )?(?:costs?|spending|budgets?|jobs|staff|back)\b"
            r"|\b(?:lost|losing) (?:its|their|a|an|two|three|four|several|many|big|major|important"
            r"|key)(?: [\w'-]+){0,2} (?:customers?|orders?|contracts?|accounts?|suppliers?)\b"
        ),
        (
            r"\b(?:no|not enough|insufficient|without|lacks?|lacking|limited|has no|have no"
            r"|out of) (?:the )?(?:\w+ )?(?:budget|funding|money)\b"
        ),
        (
            r"\b(?:can't|cannot|can not|couldn't|could not|unable to|struggl\w+ to) (?:\w+ )?(?:afford|fund"
            r"|finance|get (?:the )?(?:budget|funding|money))\b"
        ),
        (
            r"\b(?:cost[- ]cutting|cost savings? programme|austerity|cash[- ]flow (?:problems?|issues?)"
            r"|insolven\w+|bankrupt\w*|administration proceedings|short of cash|late payer|overdue invoices?"
            r"|payment default)\b"
        ),
    ),
    *phrases(
        Statement.RISK,
        "price",
        r"\b(?:too|very|rather|quite|far too|way too|prohibitively) (?:expensive|pricey|costly|dear|steep)\b",
        (
            r"\b(?:price|prices|quote|offer|cost|costs|rates?|fees?|proposal|bid|total|number"
            r"|we)\b(?: [\w'-]+){0,3} (?:too high|far too much|too much|well above|way above|far above|well over"
            r"|way over|out of reach)\b|\b(?:push|pushing|pushed|press|pressing|squeeze|squeezing|beat"
            r"|beating)(?: us| me| back)?(?: hard| down)? on (?:the )?pric(?:e|ing)\b"
        ),
        (
            r"\b(?:sticker shock|price (?:objection|concern|pushback)s?|over (?:their |our |the )?budget"
            r"|above (?:their|our|the) budget|out of (?:their|our) (?:price )?range"
            r"|pushed? back (?:hard )?on (?:the )?(?:price|pricing|cost|fees?|rate)|balked at|priced out)\b"
        ),
        (
            r"\b(?:cheaper|lower|undercut\w*|better price|half the price|lower price"
            r"|less expensive)\b(?:[^.;]{0,60})\b(?:competitor|offer|quote|elsewhere|vendor|supplier|rival|bid"
            r"|us by|alternative)\b"
        ),
        (
            r"\b(?:\d[\d.,]*k?|a third|a quarter|half|much|significantly|substantially|considerably) ?(?:%|percent"
            r"|per cent)? (?:less|cheaper|lower|below|under) (?:than (?:us|ours|our)|us|our)\b|\b(?:quoted|offers?"
            r"|offered|bids?|asks?)\b[^.;]{0,40}\b(?:less|cheaper|below us|lower)\b"
        ),
        (
            r"\b(?:undercut|undercutting|undercuts)\b|\bprice (?:is|was|remains) (?:the|a|their"
            r"|still) (?:\w+ )?(?:problem|issue|obstacle|sticking point|concern|hurdle|blocker)\b"
        ),
    ),
    *phrases(
        Statement.RISK,
        "competitor",
        (
            rf"\b(?:talking|speaking|in talks|negotiating|meeting|in discussions) (?:also )?(?:to"
            rf"|with) (?:\w+ ){{0,3}}{_COMPETITOR}\b"
        ),
        (
            rf"\b(?:evaluating|comparing|considering|looking at|testing|trialling|piloting|shortlisted|demo(?:ed"
            rf"|ing)? |quotes? from|offers? from|bids? from|proposals? from|pitch(?:ed)? from|demo from"
            rf"|leaning towards?|prefers?|favou?rs?) (?:\w+ ){{0,4}}{_COMPETITOR}\b"
        ),
        (
            rf"\b{_COMPETITOR} (?:\w+ ){{0,4}}(?:is|are|has|have|was|were|offers?|offered|came|comes|quoted"
            rf"|undercut|pitching|pitched|ahead|in the (?:race|running|mix)|also|already|bid|made|showed|presented"
            rf"|visited)\b"
        ),
        (
            r"\b(?:also|still|currently|actively) (?:talking|speaking|evaluating|comparing|looking|considering"
            r"|in talks|negotiating|meeting|reviewing) (?:to |at |with )?(?!forward)\w+"
        ),
        (
            r"\b(?:compar(?:es?|ed|ing|ison of) (?:us|our \w+|it|them|\w+) (?:with|to|against)|second (?:tender"
            r"|source|supplier|quote|offer)|(?:new|another|third) (?:tender|quote|bidder)|re-?tender\w*"
            r"|(?:long-standing|close|good|strong|old) (?:relationship|ties|friend) with)\b"
        ),
        (
            r"\b(?:up|running|competing|bidding|pitted) against\b|\blosing (?:\w+ )?to\b|\b(?:shopping|looking"
            r"|asking) around\b|\b(?:issuing|issued|launch\w+|running) (?:an? |the )?(?:rfp|tender|rfq)\b"
        ),
    ),
    *phrases(
        Statement.RISK,
        "timing",
        (
            r"\b(?:delayed|delays?|postponed|postponing|pushed back|pushed out|slipped|slipping|slips|stalled"
            r"|stalling|dragging|bogged down|running late|behind schedule|on ice|on hold|deprioriti[sz]ed|put off"
            r"|kicked down the road|in limbo|overrun\w*|missed (?:the|their|our) (?:deadline|date|milestone"
            r"|target))\b"
        ),
        (
            r"\b(?:no (?:real |sense of )?urgency|not (?:a|their|our) (?:top )?priority|low priority|not (?:happen"
            r"|going to happen) this (?:year|quarter)|won't (?:make|hit|meet)|tight (?:deadline|timeline|schedule)"
            r"|unrealistic (?:deadline|timeline|schedule)|long (?:lead|delivery) times?|(?:lead"
            r"|delivery) times?\b[^.;]{0,40}\b(?:weeks|months|long|too)|(?:miss|missing) (?:the|our"
            r"|their) (?:\w+ )?(?:window|deadline|date|slot|target|start|season)|keep(?:s)? (?:postponing|delaying"
            r"|pushing|moving|rescheduling|cancelling)|(?:deadline|timeline|go-live|schedule"
            r"|date) is (?:\w+ )?(?:tight|at risk|in danger|unrealistic|aggressive))\b"
        ),
        confidence="0.80",
    ),
    *phrases(
        Statement.RISK,
        "people",
        (
            rf"\b(?:champion|sponsor|contact|buyer|decision[- ]maker|cfo|ceo|cto|cio|coo|vp|director|manager"
            rf"|head of [\w ]{{2,25}}|owner|advocate|supporter)\b(?:,? [\w'-]+){{0,5}},? {_GONE}\b"
        ),
        (
            rf"\b(?:is|are|has|have|'s|will be|just|recently) {_GONE} (?:the company|the firm|the business"
            rf"|at the end|in|next|this|for|last|on)\b"
        ),
        (
            r"\b(?:reorgani[sz]ation|re-?org|restructuring|layoffs?|lay-offs?|redundanc(?:y|ies)|management change"
            r"|change of management|new management|leadership change|takeover|acquired by|being acquired|merger"
            r"|merging with|hostile)\b"
        ),
        (
            r"\b(?:single[- ]threaded|only one contact|no (?:executive |internal )?(?:sponsor|champion)"
            r"|lost our (?:champion|sponsor|contact)|(?:no|not get|not have|denied|lack of|lacks"
            r"|without) access to|no (?:internal |clear |real )?(?:project )?(?:owner|ownership|buy-in|backing"
            r"|mandate|support from)|(?:review|revisit|re-?evaluate|rethink|re-?open|replace|audit|question)(?:s"
            r"|ing)? (?:all |every |the |its |their |our )*(?:suppliers?|vendors?|contracts?|decision|choice"
            r"|project|investments?)|internal (?:politics|resistance|opposition)|pushback from|push-back from"
            r"|opposed to|opposes|sceptic\w*|skeptic\w*|blocking|blocker)\b"
        ),
        confidence="0.85",
    ),
    *phrases(
        Statement.RISK,
        "legal",
        (
            r"\b(?:legal|compliance|security|procurement|privacy|gdpr|data protection|works council|infosec"
            r"|regulatory|audit|it)\b(?: [\w'-]+){0,4} (?:concerns?|issues?|problems?|objections?|objects?"
            r"|objected|hurdles?|blocked|blocks|blocking|risk|risks|red flags?|stuck|unhappy|worried|holding (?:it"
            r"|us|this|things) up|hold(?:s|ing)? up|questions the)\b"
        ),
        (
            r"\b(?:stuck in|blocked by|held up (?:by|in)|failed) (?:the |their |our )?(?:\w+ )?(?:legal|compliance"
            r"|security|procurement|privacy|works council|infosec|review)\b"
        ),
        (
            r"\b(?:red[- ]?lined|redlines|liability (?:cap|clause)|indemnit\w+|penalt(?:y|ies)|breach(?:ed)?"
            r"|lawsuit|litigation|dispute[ds]?|non-complian\w+)\b"
        ),
        confidence="0.85",
    ),
    *phrases(
        Statement.RISK,
        "technical",
        (
            r"\b(?:pilot|trial|test|demo|integration|installation|migration|rollout|roll-out|poc|proof of concept"
            r"|upgrade)(?: [\w'-]+){0,3} (?:failed|fails|failing|crashed|broke|went (?:badly|wrong|poorly)"
            r"|problems?|issues?|errors?|disappointing|inconclusive)\b"
        ),
        (
            r"\b(?:failed|failing|broken|unsuccessful|disappointing) (?:pilot|trial|test|demo|integration"
            r"|installation|migration|rollout|poc|audit)\b"
        ),
        (
            r"\b(?:doesn't|does not|didn't|did not|won't|cannot|can't|could not) (?:be (?:guaranteed|integrated"
            r"|met|installed|supported|delivered)|speak|handle|cope|work|integrate|scale|fit|support|comply|meet"
            r"|connect|talk to|play well)\b"
        ),
        (
            r"\b(?:too (?:old|weak|slow|small|complex|complicated|fragile|risky|late)|incompatib\w+|not compatible"
            r"|legacy (?:system|equipment|plc)s?(?: [\w'-]+){0,3} (?:risk|problem|issue)|data loss|outages?"
            r"|security (?:hole|incident|vulnerabilit\w+)|accuracy (?:problems?|issues?|concerns?))\b"
        ),
        confidence="0.80",
    ),
    *phrases(
        Statement.RISK,
        "satisfaction",
        (
            r"\b(?:unhappy|dissatisfied|frustrat\w+|annoyed|angry|furious|upset|fed up|disappointed|complain(?:ed"
            r"|ing|s)|complaints?|irritated|losing (?:patience|trust|confidence|faith)|lost (?:trust|confidence"
            r"|faith|patience)|bad experience|let down|burned|burnt by)\b"
        ),
        (
            r"\b(?:threaten(?:ed|ing|s)? to|might|may|could|thinking (?:about|of)|considering|talk(?:ing"
            r"|s)? of) (?:cancel\w*|leav\w+|churn\w*|switch\w*|walk(?:ing)? away|terminat\w+|los(?:e|ing)"
            r"|pull(?:ing)? out|not renew\w*|drop\w*|delay\w*|slip|stop\w*|end(?:ing)? the)\b"
        ),
        r"\b(?:churn(?: risk)?|at risk of (?:churn\w*|cancel\w*|leaving|losing)|escalat(?:ed|ing|ion))\b",
    ),
    *phrases(
        Statement.RISK,
        "silence",
        (
            r"\b(?:gone (?:quiet|silent|dark|cold)|went (?:quiet|silent|dark|cold)|ghost(?:ed|ing)|radio silence"
            r"|no (?:reply|response|answer|word|feedback|sign of life) (?:since|for|from|to|in|yet|after)"
            r"|(?:hasn't|haven't|has not|have not|not|never|stopped) (?:\w+ )?(?:repl(?:ied|ying)|respond(?:ed"
            r"|ing)|answer(?:ed|ing)|got back|returned (?:my|our|any)|return(?:ing)? (?:my|our) calls)"
            r"|unresponsive|cancelled (?:the|our|two|three|\w+) (?:meetings?|calls?)(?: \w+){0,2} (?:again"
            r"|in a row|twice))\b"
        ),
        confidence="0.80",
        stands_negated=True,
    ),
    *phrases(
        Statement.RISK,
        "risk",
        r"^(?:main |biggest |key |the |open )*(?:risks?|concerns?|red flags?|blockers?|warning|watch out)\s?[:–—-]\s",
        (
            r"\b(?:the|a|an|our|one|main|biggest|key|real|serious|major|big|possible|potential|huge"
            r"|open) (?:\w+ )?(?:risk|concern|red flag|showstopper|deal[- ]?breaker|obstacle|stumbling block"
            r"|sticking point|worry|threat|danger|hurdle|weak spot)\b"
        ),
        (
            r"\b(?:worried|worries|concerned|nervous|anxious|afraid|fears?|hesitant|uneasy|reluctant|wary|doubts?"
            r"|doubtful|cold feet|on the fence|not convinced|unconvinced|not (?:yet )?sold on|lukewarm"
            r"|second thoughts|reservations)\b"
        ),
        (
            r"\b(?:at risk|in danger|in jeopardy|jeopardi[sz]\w*|could (?:kill|sink|derail|block|lose)|may (?:kill"
            r"|sink|derail|block|lose)|might (?:kill|sink|derail|block|lose)|risk(?:s|ing)? (?:of )?(?:losing"
            r"|missing|being|that)|lost (?:two|three|several|the|a) (?:shifts?|orders?|customers?)|there (?:is"
            r"|'s) a (?:risk|danger|chance))\b"
        ),
        confidence="0.80",
    ),
]
