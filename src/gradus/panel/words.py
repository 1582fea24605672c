"""What the page says, in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gradus.panel.criteria import Language

_EN: Final = {
    "name": "Reading panel",
    "skip": "Skip to the text",
    "other_language": "中文",
    "welcome": "You are asked to read",
    "lead_likert": (
        "You will be shown {n} short texts, one after another. Each goes on from an opening. Give"
        " every text a score from 1 to 5 on each question. There are no right answers: what counts"
        " is your own judgement."
    ),
    "lead_pairs": (
        "You will be shown {n} pairs of short texts, one after another. Both texts of a pair go on"
        " from the same opening. Say which of the two you find better. There are no right answers:"
        " what counts is your own judgement."
    ),
    "blind": "Who or what wrote a text is not shown, to you or to anyone who rates.",
    "kept": (
        "Every answer is kept at once. You may close the page at any time and come back through the"
        " same link, which is yours alone."
    ),
    "checks": "A few texts tell you which answer to give. They show us that the texts are read.",
    "anchors": "What the scores mean",
    "keep_in_mind": "What makes a text better",
    "begin": "Begin",
    "go_on": "Go on",
    "done_so_far": "{done} of {n} answered",
    "opening": "Opening",
    "text": "How it goes on",
    "first": "Text 1",
    "second": "Text 2",
    "empty": "Nothing was written.",
    "ask_pair": "Which of the two is better?",
    "first_better": "Text 1 is better",
    "second_better": "Text 2 is better",
    "neither": "No difference",
    "weakest": "1 weakest",
    "strongest": "5 strongest",
    "save": "Save and go on",
    "undo": "Undo",
    "undo_long": "Undo the last answer",
    "help": "Keys",
    "progress": "{at} of {n}",
    "progress_label": "Answered so far",
    "saving": "Saving …",
    "retry": "No reply from the server. Your answer is safe here; trying again …",
    "refused": "The server didn't take this answer. Load the page again.",
    "missing": "Please answer every question first.",
    "stale": "That form was out of date, so nothing was changed. Here is the text that is due.",
    "undone": "The last answer was taken back. Change it, and save it again.",
    "keys_title": "Keys",
    "key_score": "give a score, and go to the next question",
    "key_choose": "choose text 1 or text 2",
    "key_neither": "no difference",
    "key_updown": "go to the question above or below",
    "key_leftright": "one point less or more",
    "key_sides": "choose the text on that side",
    "key_enter": "save and go on",
    "key_undo": "undo the last answer",
    "key_help": "show or hide this list",
    "single_keys": "Keys of one character are on",
    "close": "Close",
    "thanks": "That was all. Thank you.",
    "thanks_more": "All {n} answers are kept. You can close this page now.",
    "nothing": "This page opens with a link of your own",
    "nothing_more": (
        "The address is not complete, or the link no longer holds. Whoever runs the panel has your"
        " link: gradus rate prints one for every rater."
    ),
    "broken": "That can't be kept right now",
    "broken_more": "Nothing was lost. Wait a moment, and load the page again.",
    "bad": "That form was not complete",
    "bad_more": "Nothing was changed. Go back, answer every question and save again.",
    "check_score": "Please show that you are reading: answer every question here with a {value}.",
    "check_pair": "Please show that you are reading: choose this text as the better one.",
}

_ZH: Final = {
    "name": "阅读评分",
    "skip": "跳到正文",
    "other_language": "English",
    "welcome": "请您阅读并评分",
    "lead_likert": (
        "接下来您将依次看到 {n} 篇短文，每篇都承接一段开头。请就每个问题给出 1 到 5"
        " 分；没有标准答案，只需按您自己的判断。"
    ),
    "lead_pairs": (
        "接下来您将依次看到 {n} 组短文，每组两篇，承接同一段开头。请指出哪一篇更好；"
        "没有标准答案，只需按您自己的判断。"
    ),
    "blind": "文章出自谁手或由什么写成，不会向任何评分者显示。",
    "kept": "每个答案都会立即保存。您可以随时关闭页面，之后用同一链接继续；该链接仅供您本人使用。",
    "checks": "少数文章会直接告诉您该选哪个答案，用来确认文章有人在认真阅读。",
    "anchors": "各分数的含义",
    "keep_in_mind": "好文章的标准",
    "begin": "开始",
    "go_on": "继续",
    "done_so_far": "已完成 {done} / {n}",
    "opening": "开头",
    "text": "续文",
    "first": "文本一",
    "second": "文本二",
    "empty": "（没有写任何内容）",
    "ask_pair": "哪一篇更好？",
    "first_better": "文本一更好",
    "second_better": "文本二更好",
    "neither": "不相上下",
    "weakest": "1 最差",
    "strongest": "5 最好",
    "save": "保存并继续",
    "undo": "撤销",
    "undo_long": "撤销上一个答案",
    "help": "按键",
    "progress": "第 {at} / {n} 篇",
    "progress_label": "已完成",
    "saving": "正在保存……",
    "retry": "服务器没有回应。您的答案仍保留在此，正在重试……",
    "refused": "服务器没有接受这个答案，请重新载入页面。",
    "missing": "请先回答所有问题。",
    "stale": "那份表单已经过期，没有作任何改动。现在显示的是应评的文章。",
    "undone": "上一个答案已撤销，请修改后再次保存。",
    "keys_title": "按键",
    "key_score": "打分，并转到下一个问题",
    "key_choose": "选择文本一或文本二",
    "key_neither": "不相上下",
    "key_updown": "转到上一个或下一个问题",
    "key_leftright": "减一分或加一分",
    "key_sides": "选择那一侧的文本",
    "key_enter": "保存并继续",
    "key_undo": "撤销上一个答案",
    "key_help": "显示或隐藏本列表",
    "single_keys": "启用单字符按键",
    "close": "关闭",
    "thanks": "全部完成，谢谢您！",
    "thanks_more": "{n} 个答案均已保存，现在可以关闭页面。",
    "nothing": "请用您自己的链接打开本页",
    "nothing_more": (
        "地址不完整，或链接已失效。主持评分的人有您的链接：gradus rate 会为每位评分者显示一个。"
    ),
    "broken": "暂时无法保存",
    "broken_more": "没有丢失任何内容。请稍候再重新载入页面。",
    "bad": "表单不完整",
    "bad_more": "没有作任何改动。请返回，回答所有问题后再次保存。",
    "check_score": "请证明您在阅读：这里的每个问题都请选 {value} 分。",
    "check_pair": "请证明您在阅读：请选择这一篇为更好的文本。",
}

WORDS: Final[Mapping[Language, Mapping[str, str]]] = MappingProxyType(
    {"en": MappingProxyType(_EN), "zh": MappingProxyType(_ZH)}
)
"""By language and name; in braces stands what is filled in."""
