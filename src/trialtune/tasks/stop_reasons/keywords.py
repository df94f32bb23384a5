"""Keyword rules for stop reasons: written from the definitions, without looking at data."""

import re

from trialtune.tasks.text import Rules, words

KEYWORDS: Rules = {
    "Insufficient_Enrollment": words(
        r"(?:slow|low|poor|insufficient|inadequate|lack of|no|difficult\w*(?: in| with)?|under)[ -]?"
        r"(?:\w+ ){0,2}(?:enrol\w*|recruit\w*|accru\w*|inclusions?)",
        r"(?:enrol\w*|recruit\w*|accru\w*) (?:\w+ ){0,3}(?:slow|low|poor|difficult\w*|insufficient|too few)",
        r"(?:no|few|not enough|lack of|insufficient(?: number of)?) (?:\w+ )?"
        r"(?:participants|patients|subjects|volunteers|candidates)",
        r"(?:unable|inability|failure|failed|could not) (?:to )?(?:enrol\w*|recruit\w*|accrue|find)",
        r"drop-?outs?",
    ),
    "Business_Administrative": words(
        r"business",
        r"fund(?:s|ing|ed)?\b",
        r"financ\w+",
        r"budget\w*",
        r"money",
        r"compan(?:y|ies)",
        r"strateg\w+",
        r"commercial\w*",
        r"portfolio",
        r"contract\w*",
        r"merge[dr]",
        r"administrative",
        r"sponsor(?:'s)? (?:decision|decided|withdrew|request)",
        r"decision (?:by|of) (?:the )?(?:sponsor|investigator)",
        r"(?:development|product)\w* (?:\w+ ){0,2}(?:discontinued|terminated|withdrawn)",
    ),
    "Negative": words(
        r"futil\w+",
        r"(?:lack|absence|no (?:evidence)?|insufficient|limited) ?(?:of )?(?:\w+ )?"
        r"(?:efficacy|effect\w*|benefit|activity|response)",
        r"ineffective\w*",
        r"no (?:significant )?difference",
        r"(?:not|fail\w*|did not) (?:to )?(?:meet|met|reach|show|demonstrate)\w*",
        r"negative",
        r"unmet",
        r"(?:risk|benefit)[ /-](?:risk|benefit)",
    ),
    "Safety_Sideeffects": words(
        r"safety (?:concern|issue|reason|finding|signal|problem|event)s?",
        r"adverse",
        r"side[ -]?effects?",
        r"toxic\w*",
        r"harm\w*",
        r"mortality",
        r"deaths?",
    ),
    "Study_Design": words(
        r"design",
        r"protocol",
        r"hypothes[ie]s",
        r"feasib\w+",
        r"infeasib\w+",
        r"amend\w+",
        r"standard of care",
        r"clinical practice",
        r"dos(?:e|ing) (?:\w+ )?chang\w+",
    ),
    "Logistics_Resources": words(
        r"suppl(?:y|ies)",
        r"availab\w+",
        r"unavailab\w+",
        r"expir\w+",
        r"manufactur\w+",
        r"laborator\w+",
        r"equipment",
        r"technical",
        r"logistic\w*",
        r"(?:lack|shortage) of (?:\w+ )?(?:staff|time|resources|personnel)",
        r"resources?",
        r"(?:site|cent(?:er|re)) (?:clos\w+|capacity)",
        r"travel",
        r"war\b",
        r"earthquake|hurricane|flood|storm",
    ),
    "Study_Staff_Moved": words(
        r"(?:PI|P\.I\.|investigators?|researchers?|coordinator|staff|fellow|resident|student)\b (?:\w+ ){0,4}"
        r"(?:left|leav\w+|mov\w+|retire\w*|ill\b|died|depart\w*|relocat\w*|chang\w+|transfer\w*)",
        r"(?:departure|death|retirement|relocation|move) of (?:\w+ ){0,3}(?:PI|investigator)",
        r"(?:left|leaving|changed|moved|moving) (?:\w+ ){0,3}(?:institution|university|hospital)",
    ),
    "Another_Study": words(
        r"(?:an)?other (?:\w+ ){0,2}(?:stud(?:y|ies)|trials?)",
        r"compet\w+",
        r"(?:merged|incorporated|combined|rolled|roll-?over) (?:\w+ ){0,3}(?:in)?to",
        r"replaced by",
        r"new (?:evidence|data|stud(?:y|ies)|trials?|publication)",
        r"NCT\d+",
        r"results (?:of|from) (?:\w+ ){0,4}(?:stud(?:y|ies)|trials?)",
    ),
    "Regulatory": words(
        r"FDA\b",
        r"EMA\b",
        r"IRB\b",
        r"regulat\w+",
        r"authorit(?:y|ies)",
        r"approv\w+",
        r"clinical hold",
        r"on hold",
        r"ethics",
        r"licen[cs]\w+",
        r"IND\b",
        r"legal\w*",
        r"law\b",
        r"policy",
    ),
    "Ethical_Reason": words(
        r"ethical", r"unethical", r"ethics committee (?:\w+ )?(?:disapprov|reject|object|refus)\w*"
    ),
    "Covid19": words(r"covid", r"corona", r"sars[- ]?cov", r"pandemic"),
    "Interim_Analysis": words(
        r"interim",
        r"preliminary",
        r"planned (?:data )?(?:review|analysis)",
        r"DSMB|DMC\b|IDMC\b",
        r"data (?:safety )?monitoring",
    ),
    "Endpoint_Met": words(
        r"(?:end ?-?points?|objectives?|goals?|aims?|target\w*) (?:\w+ ){0,3}"
        r"(?:met|reached|achieved|attained|completed)",
        r"(?:met|reached|achieved) (?:\w+ ){0,3}(?:end ?-?points?|objectives?|goals?|aims?|target)",
        r"sufficient (?:data|number|information|patients|subjects)",
    ),
    "Success": words(
        r"(?:clear|significant|proven|demonstrated|superior|overwhelming|early|positive) (?:\w+ )?"
        r"(?:efficacy|benefit|superiority|effect|results?)",
        r"success\w*",
        r"superior\w*",
    ),
    "Insufficient_Data": words(
        r"(?:insufficient|inadequate|missing|incomplete|lack of|no|poor|unusable|not enough) (?:\w+ )?"
        r"(?:data|events?|samples?|information)",
        r"data (?:\w+ ){0,2}(?:missing|lost|unusable|incomplete|insufficient|quality)",
    ),
    "Invalid_Reason": words(
        r"(?:stud(?:y|ies)|trial) (?:\w+ ){0,2}(?:was |has been |is )?"
        r"(?:completed|never|not|did not) ?(?:start|begin|began|initiat|open)?\w*",
        r"never (?:started|began|opened|initiated|enrolled)",
        r"complet(?:ed|ion)",
        r"withdrawn (?:before|prior)",
        r"(?:temporarily|temporary) (?:halt|stop|suspen)\w*",
        r"registered (?:in error|by mistake|twice)",
        r"duplicat\w+",
        r"not a clinical trial",
        r"(?:enrol\w+|recruitment|accrual) (?:is |was |has been )?(?:completed?|closed|finished)",
    ),
    "No_Context": re.compile(
        r"\bsee (?:\w+ ){0,3}(?:description|detail\w*|comments?|below|termination)|\bn/?a\b"
        r"|^\W*(?:other|unknown|none|not (?:known|provided|specified|applicable)|\w)\W*$",
        re.IGNORECASE,
    ),
}
