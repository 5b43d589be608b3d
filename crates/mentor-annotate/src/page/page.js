"use strict";
const $ = (id) => document.getElementById(id);
let state = null;
let filter = null;
let grid = false;
// One answer at a time: a key that comes before the next picture is no answer to it.
let busy = false;

async function ask(path, body) {
  const request = body === undefined
    ? { method: path.startsWith("state") ? "GET" : "POST" }
    : { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const response = await fetch(path, request);
  if (!response.ok) throw new Error(await response.text() || `status ${response.status}`);
  return response.json();
}

async function act(path, body) {
  if (busy) return;
  busy = true;
  try {
    state = await ask(path, body);
    $("error").hidden = true;
    draw();
  } catch (error) {
    $("error").textContent = `Not saved: ${error.message}. Is mentor annotate still running?`;
    $("error").hidden = false;
  } finally {
    busy = false;
  }
}

const query = () => (filter === null ? "" : `?class=${filter}`);
const percent = (share) => `${Math.round(100 * share)} %`;

function answer(given) {
  if (grid || !state?.picture) return;
  act("answer", { indices: [state.picture.index], filter, ...given });
}

function draw() {
  const { picture, classes, counts } = state;
  const answered = state.num_labels + state.num_aside;
  $("bar").max = state.num_images;
  $("bar").value = answered;
  const learned = state.accuracy === null
    ? "" : ` · held-out accuracy ${percent(state.accuracy)} of ${state.num_learned}`;
  $("status").textContent = `${answered} of ${state.num_images} answered${learned}`;
  const showGrid = grid && state.grid.length > 0;
  $("many").hidden = !showGrid;
  $("one").hidden = showGrid || !picture;
  $("done").hidden = showGrid || Boolean(picture);
  $("grid-button").hidden = filter === null;
  $("undo").disabled = !state.can_undo;
  classes.forEach((name, index) => {
    const button = $("classes").children[index];
    button.querySelector("small").textContent = counts[index];
    button.classList.toggle("guess", !showGrid && picture?.predicted === index);
  });
  if (showGrid) return drawGrid();
  if (!picture) return;
  if ($("picture").dataset.index !== String(picture.index)) {
    $("broken").hidden = true;
    $("picture").hidden = false;
    $("picture").dataset.index = picture.index;
    $("picture").src = `picture/${picture.index}`;
    $("picture").alt = picture.name;
  }
  $("guess").textContent = picture.predicted === null
    ? picture.name
    : `${picture.name}: perhaps ${classes[picture.predicted]} (${percent(picture.confidence)})`;
}

function drawGrid() {
  $("cards").replaceChildren(...state.grid.map((shown) => {
    const card = document.createElement("button");
    const image = document.createElement("img");
    card.value = shown.index;
    card.ariaPressed = "true";
    image.src = `picture/${shown.index}?side=220`;
    image.alt = shown.name;
    card.append(image, percent(shown.confidence));
    card.addEventListener("click", () => {
      card.ariaPressed = card.ariaPressed === "true" ? "false" : "true";
    });
    return card;
  }));
  $("confirm").textContent = `Confirm as ${state.classes[filter]} (Enter)`;
}

function confirmGrid() {
  const kept = [...$("cards").children].filter((card) => card.ariaPressed === "true");
  if (kept.length) act("answer", { indices: kept.map((card) => Number(card.value)), class: filter, filter });
}

function build() {
  $("classes").replaceChildren(...state.classes.map((name, index) => {
    const button = document.createElement("button");
    if (index < 9) {
      const key = document.createElement("kbd");
      key.textContent = index + 1;
      button.append(key, " ");
    }
    button.append(name, " ", document.createElement("small"));
    button.addEventListener("click", () => answer({ class: index }));
    return button;
  }));
  const all = new Option("all pictures", "");
  const each = state.classes.map((name, index) => new Option(`probably ${name}`, index));
  $("filter").replaceChildren(all, ...each);
}

$("picture").addEventListener("error", () => { $("picture").hidden = true; $("broken").hidden = false; });
$("filter").addEventListener("change", (event) => {
  filter = event.target.value === "" ? null : Number(event.target.value);
  grid = grid && filter !== null;
  event.target.blur();
  act(`state${query()}`);
});
function toggleGrid() {
  if (filter === null) return;
  grid = !grid;
  act(`state${query()}`);
}
const skip = () => { if (!grid && state?.picture) act("skip", { index: state.picture.index, filter }); };
const undo = () => act(`undo${query()}`);
$("grid-button").addEventListener("click", toggleGrid);
$("confirm").addEventListener("click", confirmGrid);
$("skip").addEventListener("click", skip);
$("undo").addEventListener("click", undo);
$("unsure").addEventListener("click", () => answer({ why: "unsure" }));
$("none").addEventListener("click", () => answer({ why: "none" }));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.tagName === "SELECT") return;
  const class_ = "123456789".indexOf(event.key);
  const act_ = {
    s: skip, u: () => answer({ why: "unsure" }), n: () => answer({ why: "none" }), z: undo, g: toggleGrid,
  }[event.key];
  if (event.key !== "" && class_ >= 0 && class_ < (state?.classes.length ?? 0)) answer({ class: class_ });
  else if (act_) act_();
  else if (event.key === "Enter" && grid && event.target.tagName !== "BUTTON") confirmGrid();
});
act("state").then(() => { if (state) { build(); draw(); } });
// What was learned meanwhile.
setInterval(() => { if (!busy && state && !grid) ask(`state${query()}`).then((told) => {
  if (busy || grid) return;
  // The picture that somebody looks at stays.
  const picture = told.picture && state.picture ? { ...told.picture, ...kept(told) } : told.picture;
  state = { ...told, picture };
  draw();
}).catch(() => {}); }, 3000);
function kept(told) {
  const same = told.picture.index === state.picture.index;
  return same ? {} : { ...state.picture };
}
