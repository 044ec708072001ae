// Draws what `view.view_of` packs: a picture under a label map's colours, once a method, and one legend.
// Runs once, with `element`, `trigger`, `props` and `watch` from Gradio's HTML component.
const find = (name) => element.querySelector(`.ct-${name}`);
const make = (tag, name, text = "") => {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
};
const percent = (share) => `${(100 * share).toFixed(1)} %`;
let view = null; // what is shown
let panels = []; // of each map its values, canvas and frame
let kept = null; // the label that is looked at, null for all
let drawn = 0; // number of the newest drawing: an older one that unpacks longer gives way

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const values = new DataView(await new Response(stream).arrayBuffer());
  return Uint16Array.from({ length: values.byteLength / 2 }, (_, place) => values.getUint16(2 * place, true));
}

function paint(panel) {
  const { width, height } = view;
  const image = panel.context.createImageData(width, height);
  for (let place = 0; place < panel.values.length; place++) {
    const label = panel.values[place];
    const right = (place + 1) % width && panel.values[place + 1] !== label;
    const below = place + width < panel.values.length && panel.values[place + width] !== label;
    const colour = right || below ? [20, 20, 20] : view.labels[label].colour;
    image.data.set(colour || [0, 0, 0], 4 * place);
    image.data[4 * place + 3] = !colour ? 0 : kept === null || kept === label ? 255 : 50;
  }
  panel.context.putImageData(image, 0, 0);
}

function look(label) {
  if (label === kept) return;
  kept = label;
  panels.forEach(paint);
  for (const row of element.querySelectorAll(".ct-row")) {
    row.classList.toggle("ct-looked", Number(row.dataset.label) === label);
  }
}

function placeOf(event, panel) {
  const box = panel.canvas.getBoundingClientRect();
  const x = Math.min(0.999999, Math.max(0, (event.clientX - box.left) / box.width));
  const y = Math.min(0.999999, Math.max(0, (event.clientY - box.top) / box.height));
  return { x, y };
}

function read(panel, number, { x, y }) {
  const label = panel.values[Math.floor(y * view.height) * view.width + Math.floor(x * view.width)];
  const entry = view.labels[label];
  look(label);
  const method = view.maps.length > 1 ? `${view.maps[number].title}: ` : "";
  find("read").textContent = `${method}${entry.name}: ${percent(entry.share[number])} of the picture`;
}

function frame(row, column) {
  const [high, wide] = view.cell;
  for (const panel of panels) {
    Object.assign(panel.frame.style, {
      display: "block",
      left: `${100 * column * wide}%`,
      top: `${100 * row * high}%`,
      width: `${100 * Math.min(wide, 1 - column * wide)}%`,
      height: `${100 * Math.min(high, 1 - row * high)}%`,
    });
  }
}

function choose(row, column) {
  frame(row, column);
  trigger("select", { index: [row, column], value: `${row},${column}`, selected: true });
}

function addPanel(map, values, number) {
  const figure = make("figure", "ct-panel");
  figure.append(make("figcaption", "ct-title", map.title));
  const stage = make("div", "ct-stage");
  const picture = make("img", "ct-picture");
  picture.src = view.picture;
  picture.alt = "the picture";
  const canvas = make("canvas", "ct-map");
  Object.assign(canvas, { width: view.width, height: view.height, tabIndex: 0 });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `label map of ${map.title}; arrows move over patches, Enter chooses one`);
  stage.append(picture, canvas);
  for (const [label, x, y] of map.marks) {
    const name = make("span", "ct-name", view.labels[label].name);
    Object.assign(name.style, { left: `${100 * x}%`, top: `${100 * y}%` });
    stage.append(name);
  }
  const box = make("div", "ct-frame");
  stage.append(box);
  figure.append(stage);
  const panel = { values, canvas, context: canvas.getContext("2d"), frame: box };
  const patch = ({ x, y }) => [Math.floor(y / view.cell[0]), Math.floor(x / view.cell[1])];
  let at = [0, 0];
  canvas.addEventListener("pointermove", (event) => read(panel, number, placeOf(event, panel)));
  canvas.addEventListener("pointerleave", () => {
    look(null);
    find("read").textContent = find("read").dataset.empty;
  });
  canvas.addEventListener("click", (event) => {
    at = patch(placeOf(event, panel));
    choose(...at);
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (event.key === "Enter") choose(...at);
    if (!step) return;
    event.preventDefault();
    const last = view.cell.map((side) => Math.ceil(1 / side - 1e-9) - 1);
    at = at.map((place, axis) => Math.min(last[axis], Math.max(0, place + step[axis])));
    frame(...at);
    const middle = at.map((place, axis) => Math.min(0.999999, (place + 0.5) * view.cell[axis]));
    read(panel, number, { x: middle[1], y: middle[0] });
  });
  return [panel, figure];
}

function legend() {
  const table = make("table", "ct-legend-table");
  const head = table.createTHead().insertRow();
  for (const text of ["", "name", ...view.maps.map((map) => (view.maps.length > 1 ? map.title : "share"))]) {
    head.append(make("th", "", text));
  }
  const body = table.createTBody();
  view.labels.forEach((entry, label) => {
    const row = body.insertRow();
    row.className = "ct-row";
    row.dataset.label = label;
    const swatch = make("span", "ct-swatch");
    swatch.style.background = entry.colour
      ? `rgb(${entry.colour})`
      : "repeating-linear-gradient(135deg, #fff 0 3px, #141414 3px 4px)"; // what is none of the names stays grey
    row.insertCell().append(swatch);
    row.insertCell().textContent = entry.name;
    for (const share of entry.share) row.insertCell().textContent = percent(share);
    row.addEventListener("pointerenter", () => look(label));
    row.addEventListener("pointerleave", () => look(null));
  });
  return table;
}

async function draw() {
  const number = ++drawn;
  const next = props.value;
  const found = next && next.maps ? await Promise.all(next.maps.map((map) => unpacked(map.values))) : [];
  if (number !== drawn) return;
  view = found.length ? next : null;
  kept = null;
  element.classList.toggle("ct-empty", !view);
  const made = view ? view.maps.map((map, place) => addPanel(map, found[place], place)) : [];
  panels = made.map(([panel]) => panel);
  find("panels").replaceChildren(...made.map(([, figure]) => figure));
  panels.forEach(paint);
  find("legend").replaceChildren(...(view ? [legend()] : []));
  find("read").textContent = view ? find("read").dataset.empty : "";
}

watch("value", draw);
draw();
