"use strict";

// Classes that are shown of each picture.
const SHOWN = 8;
const at = (id) => document.getElementById(id);
let models = [];

function element(name, properties = {}, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function say(text, isError = false) {
  at("status").textContent = text;
  at("status").classList.toggle("error", isError);
}

const model = () => models.find(({ name }) => name === at("model").value) ?? models[0];

function describe() {
  const { name, architecture, classes, embedding_size, num_indexed } = model();
  const what = classes.length > 0 ? `${classes.length} classes` : `embeddings of ${embedding_size} values`;
  const index = num_indexed > 0 ? `, ${num_indexed} pictures to search` : "";
  at("about").textContent = `${name}: ${architecture}, ${what}${index}`;
}

async function ask(route, file, more = "") {
  const query = `model=${encodeURIComponent(model().name)}${more}`;
  const response = await fetch(`${route}?${query}`, {
    method: "POST", body: file, headers: { "content-type": "application/octet-stream" },
  });
  const text = await response.text();
  let answer = {};
  try { answer = JSON.parse(text); } catch { answer = { error: text }; }
  if (!response.ok) throw new Error(answer.error || `the server answers ${response.status}`);
  return answer;
}

function classes({ probabilities }) {
  const rows = Object.entries(probabilities).sort(([, a], [, b]) => b - a).slice(0, SHOWN);
  return element("dl", {}, rows.flatMap(([name, probability]) => {
    const percent = `${(100 * probability).toFixed(1)} %`;
    const meter = element("meter", { max: 1, value: probability });
    meter.setAttribute("aria-hidden", "true");
    return [
      element("dt", { textContent: name, title: name }),
      element("dd", {}, [meter]),
      element("dd", { className: "number", textContent: percent }),
    ];
  }));
}

const neighbours = (found) => element("ol", {}, found.neighbours.map(({ path, distance }) =>
  element("li", { textContent: `${path} (${distance.toFixed(4)})` })));

async function show(file) {
  const picture = element("img", { src: URL.createObjectURL(file), alt: "" });
  picture.onload = picture.onerror = () => URL.revokeObjectURL(picture.src);
  const text = element("div");
  const { classes: names, num_indexed } = model();
  if (names.length > 0) {
    const answer = await ask("/predict", file);
    text.append(element("h2", { className: "class", textContent: answer.class }));
    text.append(element("p", { className: "name", textContent: file.name }), classes(answer));
  } else {
    text.append(element("h2", { textContent: file.name }));
  }
  if (num_indexed > 0) text.append(neighbours(await ask("/search", file, "&top=5")));
  else if (names.length === 0) {
    const { embedding } = await ask("/embed", file);
    text.append(element("p", { className: "name", textContent: `embedding of ${embedding.length} values` }));
  }
  at("results").prepend(element("article", {}, [picture, text]));
}

async function take(files) {
  const failed = [];
  let done = 0;
  for (const file of files) {
    say(`${file.name} …`);
    try { await show(file); done += 1; } catch (error) { failed.push(`${file.name}: ${error.message}`); }
  }
  say(failed.length > 0 ? failed.join("\n") : `${done} ${done === 1 ? "picture" : "pictures"} done`,
    failed.length > 0);
}

at("file").addEventListener("change", async ({ target }) => {
  const files = [...target.files];
  target.value = "";
  await take(files);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  at("drop").classList.add("over");
});
document.addEventListener("dragleave", () => at("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  take([...event.dataTransfer.files]);
});
document.addEventListener("paste", (event) => take([...event.clipboardData.files]));
at("model").addEventListener("change", describe);

(async () => {
  try {
    models = await (await fetch("/models")).json();
    at("model").append(...models.map(({ name }) => element("option", { textContent: name, value: name })));
    at("choice").hidden = models.length < 2;
    describe();
  } catch { say("the server does not answer", true); }
})();
