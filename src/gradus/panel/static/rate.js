// Keys, the timer, and sending that is repeated until the server has answered. The page works
// without any of it: forms are forms.
"use strict";

const RETRY_MS = 1500;
let form, undo, keys, groups, likert;

// --- time that the text was in view

let seen, since;
document.addEventListener("visibilitychange", () => {
  if (since !== null) seen += performance.now() - since;
  since = document.hidden ? null : performance.now();
});

function seconds() {
  const now = since === null ? 0 : performance.now() - since;
  return ((seen + now) / 1000).toFixed(2);
}

// --- what outlives a page that is loaded again

// A browser may refuse to keep anything. Then it is as on the first page: rating goes on.
function keep(name, value) {
  try {
    sessionStorage.setItem(name, JSON.stringify(value));
  } catch {
    return;
  }
}

function kept(name) {
  try {
    return JSON.parse(sessionStorage.getItem(name));
  } catch {
    return null;
  }
}

// --- answers

let current = 0;

const radios = (group) => [...group.querySelectorAll("input[type=radio]")];
const chosen = (group) => radios(group).find((radio) => radio.checked);
const firstOpen = () => groups.findIndex((group) => !chosen(group));

function turnTo(index) {
  current = Math.max(0, Math.min(groups.length - 1, index));
  groups.forEach((group, at) => group.classList.toggle("current", likert && at === current));
  if (likert) groups[current].scrollIntoView({ block: "nearest" });
}

function choose(group, value) {
  const radio = radios(group).find((one) => one.value === String(value));
  if (!radio) return false;
  radio.checked = true;
  radio.focus({ preventScroll: true });
  changed();
  return true;
}

function changed() {
  say("");
  const values = Object.fromEntries(groups.filter(chosen).map((g) => [chosen(g).name, chosen(g).value]));
  keep("draft", { nonce: form.nonce.value, values });
  for (const side of document.querySelectorAll(".side")) {
    side.classList.toggle("chosen", values.preference === side.dataset.side);
  }
}

// What was ticked before the page was loaded again is still ticked.
function restore() {
  const draft = kept("draft");
  if (!draft || draft.nonce !== form.nonce.value) return;
  for (const group of groups) {
    const radio = radios(group).find((one) => draft.values[one.name] === one.value);
    if (radio) radio.checked = true;
  }
}

// --- sending

let sending = false;

function say(text, loud = false) {
  const status = document.getElementById("status");
  if (status.textContent !== text) status.textContent = text;
  status.classList.toggle("loud", loud);
}

function busy(on) {
  sending = on;
  form.querySelector("button[type=submit]").setAttribute("aria-disabled", String(on));
}

async function send(event) {
  event.preventDefault();
  if (sending) return;
  const open = firstOpen();
  if (open >= 0) {
    say(form.dataset.missing, true);
    turnTo(open);
    radios(groups[open])[0].focus();
    return;
  }
  form.seconds.value = seconds();
  const body = new URLSearchParams(new FormData(form));
  busy(true);
  say(form.dataset.saving);
  for (;;) {
    // The form's nonce makes a second copy of the same answer harmless.
    try {
      const reply = await fetch(form.action, { method: "POST", body, redirect: "follow" });
      if (reply.ok) {
        const page = await reply.text();
        keep("draft", null);
        turnPage(page, reply.url);
        return;
      }
      if (reply.status < 500) {
        busy(false);
        say(form.dataset.refused, true);
        return;
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
    say(form.dataset.retry, true);
    await new Promise((done) => setTimeout(done, RETRY_MS));
  }
}

// The next page takes this one's place without being loaded, so that a server which goes away at
// this very moment leaves nobody before half a page.
function turnPage(text, address) {
  const next = new DOMParser().parseFromString(text, "text/html");
  history.replaceState(null, "", address);
  document.title = next.title;
  document.documentElement.lang = next.documentElement.lang;
  document.body.replaceWith(document.adoptNode(next.body));
  begin();
  const main = document.getElementById("main");
  main.tabIndex = -1;
  main.focus({ preventScroll: true });
}

// --- keys

function showKeys() {
  keys.showModal();
  // Not on what comes first, which a space would switch off.
  keys.querySelector("button").focus();
}

function move(key) {
  if (!likert) {
    const side = { ArrowLeft: 1, ArrowRight: 2 }[key];
    return side !== undefined && choose(groups[0], side);
  }
  if (key === "ArrowUp" || key === "ArrowDown") {
    turnTo(current + (key === "ArrowUp" ? -1 : 1));
    const group = groups[current];
    (chosen(group) ?? radios(group)[0]).focus({ preventScroll: true });
    return true;
  }
  const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (step === undefined) return false;
  const now = chosen(groups[current]);
  choose(groups[current], now ? Math.max(1, Math.min(5, Number(now.value) + step)) : 3);
  return true;
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  // Whoever dictates sends such keys with every word: WCAG 2.1.4.
  if (event.key.length === 1 && kept("single") === false) return;
  const away = event.target.closest("button, a");
  if (event.key === "?" && keys) {
    if (keys.open) keys.close();
    else showKeys();
    event.preventDefault();
  } else if (keys && keys.open) {
    return;
  } else if (event.key.toLowerCase() === "u" && undo && !sending) {
    undo.requestSubmit();
    event.preventDefault();
  } else if (!form || sending) {
    return;
  } else if (/^[0-5]$/.test(event.key)) {
    if (choose(groups[current], event.key) && likert) turnTo(current + 1);
    event.preventDefault();
  } else if (event.key === "Enter" && !away) {
    form.requestSubmit();
    event.preventDefault();
  } else if (event.key.startsWith("Arrow") && move(event.key)) {
    event.preventDefault();
  }
}

document.addEventListener("keydown", pressed);

function begin() {
  form = document.getElementById("answers");
  undo = document.getElementById("undo");
  keys = document.getElementById("keys");
  groups = form ? [...form.querySelectorAll("fieldset")] : [];
  likert = document.body.classList.contains("likert");
  sending = false;
  seen = 0;
  since = document.hidden ? null : performance.now();
  if (form) beginForm();
  window.scrollTo(0, 0);
  document.documentElement.dataset.ready = "";
}

function beginForm() {
  form.noValidate = true;
  restore();
  changed();
  turnTo(Math.max(0, firstOpen()));
  form.addEventListener("submit", send);
  form.addEventListener("change", changed);
  form.addEventListener("focusin", (event) => {
    const at = groups.indexOf(event.target.closest("fieldset"));
    if (at >= 0 && at !== current) turnTo(at);
  });
  for (const side of document.querySelectorAll(".side")) {
    side.addEventListener("click", () => {
      if (String(getSelection()) === "") choose(groups[0], side.dataset.side);
    });
  }
  const help = document.getElementById("help");
  help.hidden = false;
  help.addEventListener("click", showKeys);
  const single = document.getElementById("single");
  single.checked = kept("single") !== false;
  single.addEventListener("change", () => keep("single", single.checked));
}

begin();
