"""The words by which mail programs and people in many languages begin quotes, forwards and signatures."""

from __future__ import annotations

import re

_FROM = (
    "From|Von|De|Da|Van|Från|Fra|Od|De la|Kimden|От|Lähettäjä|Feladó|Expéditeur|Remitente|Mittente|Afzender|Nadawca"
    "|差出人|送信者|发件人|寄件者|보낸 사람"
)
_OTHERS = (
    "Sent|Date|To|Cc|Bcc|Subject|Reply-To|Importance|Attachments|Gesendet|Datum|An|Betreff|Kopie|Antwort an|Envoyé|À"
    "|Objet|Enviado(?: el)?|Fecha|Para|Asunto|Inviato|Data|A|Oggetto|Verzonden|Aan|Onderwerp|Skickat|Till|Ämne|Sendt"
    "|Til|Emne|Wysłano|Do|Temat|Odesláno|Datum|Komu|Předmět|Lähetetty|Vastaanottaja|Aihe|Gönderme|Kime|Konu"
    "|Отправлено|Дата|Кому|Тема|送信日時|日付|日時|宛先|件名|发送时间|日期|收件人|主题|寄件日期|收件者|主旨"
    "|보낸 날짜|받는 사람|제목"
)
# `*From:* Jane` is what becomes of bold labels in plain text.
FROM_LINE = re.compile(rf"^[*_ ]{{0,3}}(?:{_FROM})[*_ ]{{0,3}}\s?[:：][*_ ]{{0,3}}(?P<value>.*)$", re.IGNORECASE)
LABEL_LINE = re.compile(
    rf"^[*_ ]{{0,3}}(?P<label>{_FROM}|{_OTHERS})[*_ ]{{0,3}}\s?[:：][*_ ]{{0,3}}(?P<value>.*)$", re.IGNORECASE
)
SUBJECT_LABEL = re.compile(
    r"^(?:Subject|Betreff|Objet|Asunto|Oggetto|Onderwerp|Ämne|Emne|Temat|Předmět|Aihe|Konu|Тема|件名|主题|主旨|제목)$",
    re.IGNORECASE,
)

# A line that says who wrote what follows; the date or address in it is asked for besides.
_WROTE = (
    r"On\b.* wrote|Am\b.* schrieb.*|Le\b.* a écrit|El\b.* escribió|Il\b.* ha scritto|Op\b.* schreef.*|Em\b.* escreveu"
    r"|.* wrote|.* skrev.*|.* napisał(?:\(a\)|a)?|.* pisze|.* napsal(?:\(a\)|a)?|.* kirjoitti|.* a scris|.* yazdı"
    r"|.* írta|.* пишет|.* написал(?:\(а\)|а)?|.*のメール|.*書きました|.*写道|.*寫道|.*작성"
)
WROTE_LINE = re.compile(rf"^(?:{_WROTE})\s?[:：]$", re.IGNORECASE)
# `2026-03-01 10:00 GMT+01:00 Jane Roe <jane@acme.example>:` of Gmail in some languages.
DATED_SENDER = re.compile(r"^\d{4}-\d\d-\d\d .{3,120}<[^<>\s]+@[^<>\s]+>\s?[:：]$")

_ORIGINAL = (
    "Original Message|Original-Nachricht|Ursprüngliche Nachricht|Originalnachricht|Message d'origine|Message original"
    "|Mensaje original|Messaggio originale|Oorspronkelijk bericht|Mensagem original|Ursprungligt meddelande"
    "|Oprindelig meddelelse|Original melding|Wiadomość oryginalna|Původní zpráva|Исходное сообщение|元のメッセージ"
    "|原始邮件|原始郵件|원본 메시지|Original Appointment"
)
_FORWARDED = (
    "Forwarded message|Weitergeleitete Nachricht|Message transféré|Mensaje reenviado|Messaggio inoltrato"
    "|Doorgestuurd bericht|Mensagem encaminhada|Vidarebefordrat meddelande|Videresendt meddelelse"
    "|Przekazana wiadomość|Přeposlaná zpráva|Пересылаемое сообщение|转发的邮件|転送メッセージ"
)
ORIGINAL_LINE = re.compile(rf"^[-_ ]{{2,}}\s*(?:{_ORIGINAL})\s*[-_ ]*$", re.IGNORECASE)
FORWARDED_LINE = re.compile(
    rf"^(?:[-_ ]{{2,}}\s*(?:{_FORWARDED})(?: [^-]{{0,80}})?\s*[-_ ]*"
    r"|(?:Begin forwarded message|Anfang der weitergeleiteten (?:Nachricht|E-Mail)|Début du message (?:transféré"
    r"|réexpédié)"
    r"|Inizio messaggio inoltrato|Inicio del mensaje reenviado|Begin doorgestuurd bericht)\s?:)$",
    re.IGNORECASE,
)
RULE_LINE = re.compile(r"^[_*=-]{25,}$")

CLOSING_LINE = re.compile(
    r"^(?:(?:with |mit |avec |con |met |med )?"
    r"(?:(?:very |many )?thanks(?: again| in advance)?(?: (?:and|&) (?:best |kind |warm )?regards)?"
    r"|thank you(?: very much)?"
    r"|(?:thanks (?:and|&) )?(?:best|kind|kindest|warm|warmest|with best)? ?(?:regards|wishes)|best|all the best|cheers"
    r"|(?:yours )?(?:sincerely|faithfully|truly|respectfully)(?: yours)?|rgds|br|kr"
    r"|(?:freundliche[nr]?|besten?|viele[n]?|liebe[nr]?|herzliche[nr]?|schöne[n]?|sonnige)? ?(?:gr(?:ü|ue)(?:ß"
    r"|ss)en?|gru(?:ß|ss))"
    r"(?: aus .{2,40})?|mfg|hochachtungsvoll|vielen dank(?: im voraus)?|danke"
    r"|(?:bien )?cordialement|bien à vous|(?:sincères |meilleures )?salutations(?: distinguées)?|merci(?: d'avance)?"
    r"|atentamente|(?:un )?(?:cordial )?saludos?(?: cordiales)?|gracias|cordiali saluti|distinti saluti|saluti|grazie"
    r"|(?:vriendelijke )?groet(?:en|jes)?|atenciosamente|cumprimentos|obrigad[oa]|(?:vänlig "
    r"|vänliga )?hälsning(?:ar)?|mvh"
    r"|(?:venlig |vennlig )?hilsen|pozdrawiam|z poważaniem|s pozdravem|ystävällisin terveisin|üdvözlettel"
    r"|saygılarımla|с уважением|此致|敬具)"
    r"(?: / .{2,40})?)[\s,.!;–-]*$",
    re.IGNORECASE,
)
DEVICE_LINE = re.compile(
    r"^(?:sent from (?:my|outlook|yahoo|mail|proton|samsung|windows)\b.{0,80}|get outlook for .{0,80}|(?:von"
    r"|aus) meinem .{2,40} gesendet"
    r"|gesendet (?:von|mit) .{2,60}|diese nachricht wurde von meinem .{2,60}|envoyé (?:de|depuis) .{2,60}"
    r"|enviado (?:desde|de|do) .{2,60}"
    r"|inviato da(?:l)? .{2,60}|verzonden (?:vanaf|met|vanuit) .{2,60}|skickat från .{2,60}|sendt fra .{2,60}"
    r"|wysłane z .{2,60}|odesláno z .{2,60}|отправлено (?:с|из) .{2,60}|iphoneから送信|发自我的.{0,40})$",
    re.IGNORECASE,
)
DISCLAIMER_LINE = re.compile(
    r"^[*_ ]{0,3}(?:(?:this|the contents of this|the information (?:contained )?in this) (?:e-?mail|message"
    r"|communication)"
    r"\b.{0,160}\b(?:confidential|privileged|intended (?:only|solely)|addressee)"
    r"|(?:confidentiality|legal|privacy)(?: and [a-z]+)? (?:notice|disclaimer|note)\b|disclaimer\b"
    r"|diese (?:e-?mail|nachricht)\b.{0,160}\bvertraulich"
    r"|ce (?:message|courriel|mail)\b.{0,160}\bconfidentiel|este (?:mensaje|correo)\b.{0,160}\bconfidencial"
    r"|please consider the environment|think before you print)",
    re.IGNORECASE,
)
# What an organisation's own mail server writes above messages from outside.
BANNER = re.compile(
    r"\A(?:\[?external(?: e-?mail| sender)?\]?[:.!]? {0,4}\n{1,4}"
    r"|[*\[ ]{0,4}(?:caution|warning|achtung|attention|external(?: e-?mail)?)[*\] ]{0,4}[:!.-][^\n]{0,300}"
    r"\b(?:outside|external|extern|unbekannten?|click links|exterieur"
    r"|extérieur)\b[^\n]{0,400}(?:\n[^\n]{1,400}){0,2}\n{1,4}"
    r"|you don.t often get (?:an )?e-?mail from [^\n]{0,300}\n{1,4}(?:learn why[^\n]{0,120}\n{1,4})?)",
    re.IGNORECASE,
)
