"use strict";

const find = (id) => document.getElementById(id);
const TASKS = {
  classify: { title: "Label", path: "v1/classify", body: (texts) => ({ texts, top_k: 5 }), lines: true },
  tag: { title: "Tag", path: "v1/tag", body: (texts) => ({ texts }), lines: true },
  embed: { title: "Embed", path: "v1/embed", body: (texts) => ({ texts }), lines: true },
  complete: {
    title: "Go on", path: "v1/completions", lines: false,
    body: (texts) => ({ model: served.model, prompt: texts[0], max_tokens: 128, stream: true }),
  },
};
let key = sessionStorage.getItem("gradus-key") || "";
let served = {};

const headers = (more = {}) => (key ? { ...more, Authorization: `Bearer ${key}` } : more);

function make(tag, text = "", attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

async function begin() {
  let reply;
  try {
    reply = await fetch("v1/info", { headers: headers() });
  } catch {
    find("model").textContent = "The server doesn't answer.";
    return;
  }
  if (reply.status === 401) {
    find("model").textContent = "This server asks for a key.";
    find("key-form").hidden = false;
    if (key) find("key-note").textContent = "That key isn't right.";
    find("key").focus();
    return;
  }
  if (!reply.ok) {
    find("model").textContent = (await reply.json()).error.message;
    setTimeout(begin, 2000);
    return;
  }
  served = await reply.json();
  find("key-form").hidden = true;
  find("model").textContent = [served.model, served.kind, (served.digest || "").slice(0, 12)].filter(Boolean).join(" · ");
  offer();
  refer();
}

function offer() {
  const known = served.tasks.filter((task) => TASKS[task]);
  const tasks = find("tasks");
  for (const [at, task] of known.entries()) {
    const label = make("label", "", { class: "pick" });
    const radio = make("input", "", { type: "radio", name: "task", value: task });
    radio.checked = at === 0;
    label.append(radio, TASKS[task].title);
    tasks.append(label);
  }
  tasks.hidden = known.length < 2;
  find("ask").hidden = known.length === 0;
  find("hint").hidden = known.every((task) => !TASKS[task].lines);
}

const chosen = () => TASKS[document.querySelector("input[name=task]:checked").value];

function texts() {
  const all = find("text").value;
  return chosen().lines ? all.split("\n").filter((line) => line.trim()) : [all];
}

async function send(event) {
  event.preventDefault();
  const button = find("send");
  if (button.getAttribute("aria-disabled") === "true" || !texts().length) return;
  button.setAttribute("aria-disabled", "true");
  find("status").textContent = "Waiting …";
  const task = chosen(), given = texts(), body = task.body(given), began = performance.now();
  try {
    const reply = await fetch(task.path, {
      method: "POST", headers: headers({ "Content-Type": "application/json" }), body: JSON.stringify(body),
    });
    tell(task, body);
    if (body.stream && reply.ok) await follow(reply);
    else show(reply.ok, given, await reply.json());
    find("status").textContent = `${reply.ok ? "Answered" : "Refused"} in ${Math.round(performance.now() - began)} ms.`;
  } catch {
    find("status").textContent = "The server doesn't answer.";
  }
  button.removeAttribute("aria-disabled");
}

function tell(task, body) {
  const address = new URL(task.path, location.href).href;
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  const shown = key ? ` \\\n  -H "Authorization: Bearer $KEY"` : "";
  find("curl").textContent = `curl ${address} \\\n  -H 'content-type: application/json'${shown} \\\n  -d '${quoted}'`;
}

async function follow(reply) {
  const place = find("shown"), text = make("p", "", { class: "text" });
  place.replaceChildren(text);
  find("answer").hidden = false;
  find("raw").textContent = "";
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    const events = held.split("\n\n");
    held = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      find("raw").textContent += data + "\n";
      if (data === "[DONE]") continue;
      const part = JSON.parse(data);
      if (part.error) text.textContent += `\n${part.error.message}`;
      else for (const choice of part.choices || []) text.textContent += choice.text ?? choice.delta?.content ?? "";
    }
  }
}

function show(ok, given, said) {
  const place = find("shown");
  find("answer").hidden = false;
  find("raw").textContent = JSON.stringify(said, null, 1);
  if (!ok) {
    place.replaceChildren(make("p", said.error.message, { class: "note" }));
    return;
  }
  const results = said.results || said.embeddings || [];
  place.replaceChildren(...results.map((one, at) => result(given[at], one)));
}

function result(text, one) {
  const card = make("div", "", { class: "said" });
  if (one.spans) card.append(marked(text, one.spans));
  else card.append(make("p", text, { class: "text" }));
  if (Array.isArray(one)) card.append(make("p", `${one.length} numbers: ${one.slice(0, 6).map((x) => x.toFixed(3)).join(", ")} …`, { class: "soft" }));
  if (one.value !== undefined) card.append(make("p", String(one.value)));
  if (one.label === null && one.top && !one.labels) card.append(make("p", "abstains", { class: "soft" }));
  for (const label of one.top || []) {
    const row = make("div", "", { class: "bar-row" }), percent = `${(100 * label.probability).toFixed(1)} %`;
    row.append(make("span", label.label), make("meter", "", { value: label.probability, "aria-label": `${label.label}, ${percent}` }), make("span", percent, { class: "number" }));
    card.append(row);
  }
  return card;
}

function marked(text, spans) {
  const line = make("p", "", { class: "text" }), characters = Array.from(text);
  const cut = (from, to) => characters.slice(from, to).join("");
  let at = 0;
  for (const span of spans) {
    const mark = make("mark", cut(span.start, span.end));
    mark.append(make("small", span.label));
    line.append(cut(at, span.start), mark);
    at = span.end;
  }
  line.append(cut(at));
  return line;
}

async function refer() {
  const reply = await fetch("openapi.json", { headers: headers() });
  if (!reply.ok) return;
  const described = await reply.json(), place = find("routes");
  for (const [path, methods] of Object.entries(described.paths)) {
    for (const [method, route] of Object.entries(methods)) {
      const block = make("div", "", { class: "route" });
      block.append(make("h3", `${method.toUpperCase()} ${path}`), make("p", route.description || route.summary || ""));
      const schema = route.requestBody?.content?.["application/json"]?.schema;
      if (schema) {
        const name = (schema.$ref || "").split("/").pop(), whole = described.components.schemas[name] || schema;
        const details = make("details"), pre = make("pre", JSON.stringify(whole.properties || whole, null, 1), { tabindex: "0" });
        details.append(make("summary", `Body of ${method.toUpperCase()} ${path}`), pre);
        block.append(details);
      }
      place.append(block);
    }
  }
  find("reference").hidden = false;
  if (key) find("document").removeAttribute("href");
}

find("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = find("key").value.trim();
  sessionStorage.setItem("gradus-key", key);
  begin();
});
find("ask").addEventListener("submit", send);
find("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("ask").requestSubmit();
});
begin();
