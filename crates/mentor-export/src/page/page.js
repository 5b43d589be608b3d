"use strict";

// Classes that are shown of each picture.
const SHOWN = 8;
// A picture is made smaller first if a side is longer; the model resizes the rest of the way.
const MAX_SIDE = 1024;
const at = (id) => document.getElementById(id);
let model = null;

function element(name, properties = {}, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function say(text, isError = false) {
  at("status").textContent = text;
  at("status").classList.toggle("error", isError);
}

// Bytes [1, height, width, 3] of what a canvas can draw, on white as mentor has it.
function pixels(source, width, height) {
  const scale = Math.min(1, MAX_SIDE / Math.max(width, height));
  const canvas = element("canvas", {
    width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)),
  });
  const drawing = canvas.getContext("2d", { willReadFrequently: true });
  drawing.fillStyle = "#ffffff";
  drawing.fillRect(0, 0, canvas.width, canvas.height);
  drawing.imageSmoothingQuality = "high";
  drawing.drawImage(source, 0, 0, canvas.width, canvas.height);
  const { data } = drawing.getImageData(0, 0, canvas.width, canvas.height);
  const bytes = new Uint8Array((data.length / 4) * 3);
  for (let pixel = 0; pixel < data.length / 4; pixel += 1) {
    bytes.set(data.subarray(4 * pixel, 4 * pixel + 3), 3 * pixel);
  }
  return new ort.Tensor("uint8", bytes, [1, canvas.height, canvas.width, 3]);
}

// Class and probability, the likeliest first.
async function classify(source, width, height) {
  const image = pixels(source, width, height);
  const { probabilities } = await model.session.run({ image }, ["probabilities"]);
  return model.classes.map((name, index) => [name, probabilities.data[index]]).sort(([, a], [, b]) => b - a);
}

function shown(name, rows) {
  const list = rows.slice(0, SHOWN).flatMap(([label, probability]) => {
    const meter = element("meter", { max: 1, value: probability });
    meter.setAttribute("aria-hidden", "true");
    const percent = `${(100 * probability).toFixed(1)} %`;
    return [
      element("dt", { textContent: label, title: label }),
      element("dd", {}, [meter]),
      element("dd", { className: "number", textContent: percent }),
    ];
  });
  return [
    element("h2", { className: "class", textContent: rows[0][0] }),
    element("p", { className: "name", textContent: name }),
    element("dl", {}, list),
  ];
}

async function show(file) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error("the browser shows no such picture");
  });
  const rows = await classify(bitmap, bitmap.width, bitmap.height);
  bitmap.close();
  const picture = element("img", { src: URL.createObjectURL(file), alt: "" });
  picture.onload = picture.onerror = () => URL.revokeObjectURL(picture.src);
  at("results").prepend(element("article", {}, [picture, element("div", {}, shown(file.name, rows))]));
}

async function take(files) {
  if (model === null) return;
  const failed = [];
  let done = 0;
  for (const file of files) {
    say(`${file.name} …`);
    try { await show(file); done += 1; } catch (error) { failed.push(`${file.name}: ${error.message}`); }
  }
  say(failed.length > 0 ? failed.join("\n") : `${done} ${done === 1 ? "picture" : "pictures"} done`,
    failed.length > 0);
}

// The camera's pictures one after the other, until it is stopped.
async function watch() {
  const video = at("video");
  if (video.srcObject !== null) {
    video.srcObject.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    at("live").hidden = true;
    at("camera").textContent = "Use the camera";
    return;
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    say(`there is no camera (${error.message}); browsers allow it at localhost and over https alone`, true);
    return;
  }
  await video.play();
  at("live").hidden = false;
  at("camera").textContent = "Stop the camera";
  while (video.srcObject !== null) {
    const rows = await classify(video, video.videoWidth, video.videoHeight);
    at("seen").replaceChildren(...shown("the camera", rows));
    await new Promise((done) => setTimeout(done, 200));
  }
}

async function load() {
  if (typeof ort === "undefined") {
    say("onnxruntime-web is missing: copy ort.wasm.min.js, ort-wasm-simd-threaded.mjs and "
      + "ort-wasm-simd-threaded.wasm of its folder dist/ into this folder", true);
    return;
  }
  try {
    const { classes, architecture } = await (await fetch("model.json")).json();
    ort.env.wasm.numThreads = 1;
    model = { classes, session: await ort.InferenceSession.create("model.onnx") };
    at("about").textContent = `${architecture}, ${classes.length} classes. Pictures stay in this browser.`;
  } catch (error) { say(`the model cannot be loaded (${error.message}); serve this folder over http`, true); }
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
at("camera").addEventListener("click", watch);
load();
