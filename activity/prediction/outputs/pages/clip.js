// The page of a clip: times in seconds of the clip, probabilities 0..1.
const video = byId("video"), chart = byId("chart"), labelField = byId("label");
const length = data.end - data.start, frame = 1 / data.fps;
const colours = new Map(data.curves.map((curve) => [curve.label, curve.colour]));

// What is shown now: a time, and the segments with what the viewer made of them.
let time = data.start;
let segments = data.segments.map((segment) => ({ ...segment, changed: false }));
let current = -1; // the segment at that time
const history = []; // earlier lists of segments
const labels = new Set();

// --- Drawing, once ------------------------------------------------------------------------------

function svg(name, attributes, parent) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return parent.appendChild(element);
}

// A picture of the time is 1000 units wide, whatever its pixels.
const across = (seconds) => (((seconds - data.start) / length) * 1000).toFixed(2);

function drawCurves() {
  const picture = byId("curves"), up = (probability) => (100 - 96 * probability - 2).toFixed(1);
  picture.setAttribute("viewBox", "0 0 1000 100");
  const line = (values) => data.times.map((at, i) => `${across(at)},${up(values[i])}`);
  for (const { colour, low, high } of data.curves) {
    const points = [...line(high), ...line(low).reverse()].join(" ");
    svg("polygon", { points, fill: colour, "fill-opacity": 0.3, stroke: colour, "stroke-opacity": 0.3,
      "vector-effect": "non-scaling-stroke" }, picture);
  }
  for (const { colour, smoothed } of data.curves) {
    svg("polyline", { points: line(smoothed).join(" "), fill: "none", stroke: colour, "stroke-width": 2.5,
      "vector-effect": "non-scaling-stroke" }, picture);
  }
}

function drawLegend() {
  const legend = byId("legend");
  for (const { label, colour } of data.curves) named(label, colour, element("li", legend));
  if (data.others) element("li", legend, `and ${data.others} more`);
  element("li", legend, `thin: single frames, bold: ${data.smoother}`);
}

function drawFacts() {
  for (const [name, value] of data.facts) {
    element("dt", byId("facts"), name);
    element("dd", byId("facts"), value);
  }
}

const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 36000];

function drawAxis() {
  const most = chart.clientWidth / 90; // a mark is as wide as that
  const step = STEPS.find((seconds) => length / seconds <= most) ?? STEPS.at(-1);
  byId("axis").replaceChildren();
  for (let i = Math.ceil(data.start / step); i * step <= data.end; i++) {
    const mark = element("span", byId("axis"), clock(i * step, step < 1 ? 1 : 0));
    mark.style.left = `${across(i * step) / 10}%`;
  }
}

// --- Segments: shown, corrected, handed on -----------------------------------------------------

const colourOf = (label) => colours.get(label) || data.grey;

function drawSegments() {
  const band = byId("band"), list = byId("segments");
  band.setAttribute("viewBox", "0 0 1000 10");
  band.replaceChildren();
  list.replaceChildren();
  segments.forEach((segment, index) => {
    const [left, right] = [across(segment.start), across(segment.end)];
    svg("rect", { x: left, width: right - left, height: 10, fill: colourOf(segment.label) }, band);
    const button = element("button", element("li", list));
    button.type = "button";
    button.dataset.index = index;
    element("span", button, clock(segment.start, 3));
    element("span", button, clock(segment.end, 3));
    const name = element("span", button);
    named(segment.label, colourOf(segment.label), name);
    name.classList.toggle("changed", segment.changed);
    element("span", button, segment.changed ? "" : percent(segment.mean_probability));
  });
  current = -1;
  show(time);
}

const percent = (probability) => `${Math.round(probability * 100)}%`;

function change(list, message) {
  history.push(segments);
  segments = list;
  addEventListener("beforeunload", warn);
  corrected(message);
}

// Only while there is something to lose: a page that listens for this is slower to leave.
const warn = (event) => event.preventDefault();

function corrected(message) {
  byId("undo").disabled = !history.length;
  drawSegments();
  byId("said").textContent = message;
}

function offer(label) {
  labelField.add(new Option(label), labelField.length - 1); // above the one for a new label
  labels.add(label);
}

function relabel() {
  const old = segments[current];
  const chosen = labelField.selectedIndex === labelField.length - 1 ? prompt("The new label:") : labelField.value;
  const label = (chosen ?? "").trim() || old.label;
  if (!labels.has(label)) offer(label);
  labelField.value = label;
  if (label === old.label) return;
  // With neighbours that have it, it is one segment: so a boundary is moved.
  const first = segments[current - 1]?.label === label ? current - 1 : current;
  const last = segments[current + 1]?.label === label ? current + 1 : current;
  const joined = { label, start: segments[first].start, end: segments[last].end, changed: true };
  change(segments.toSpliced(first, last - first + 1, joined), `Now ${label}.`);
}

function cut() {
  const old = segments[current], at = frameStart(time);
  if (at <= old.start + 1e-6 || at >= old.end - 1e-6) {
    byId("said").textContent = "A segment begins or ends here already.";
    return;
  }
  const halves = [{ ...old, end: at, changed: true }, { ...old, start: at, changed: true }];
  change(segments.toSpliced(current, 1, ...halves), `Cut at ${clock(at, 3)}.`);
}

function undo() {
  if (!history.length) return;
  segments = history.pop();
  corrected("Taken back.");
}

// The rule of text.py: what a spreadsheet would take for a formula gets an apostrophe.
function cell(value) {
  const safe = /^'*[=+\-@]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function save() {
  // The row of a photo is about the whole file.
  const times = ({ start, end }) => (data.photo ? [] : [start.toFixed(3), end.toFixed(3)]);
  const rows = segments.map((segment) => [cell(data.file), ...times(segment), cell(segment.label)]);
  const head = data.photo ? ["file", "label"] : ["file", "start", "end", "label"];
  const table = [head, ...rows].map((row) => `${row.join(",")}\r\n`).join("");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", table], { type: "text/csv" }));
  link.download = "segments.csv";
  link.click();
  removeEventListener("beforeunload", warn);
  byId("said").textContent = `${segments.length} segments downloaded.`;
}

// --- Time ----------------------------------------------------------------------------------------

// The last element of a list in order that is not later.
function lastAt(count, timeOf, seconds) {
  let [low, high] = [0, count - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (timeOf(middle) <= seconds + 1e-6) low = middle;
    else high = middle - 1;
  }
  return low;
}

// Times come in milliseconds, so half of one is rounding.
const segmentAt = (seconds) => lastAt(segments.length, (i) => segments[i].start, seconds + 0.0005);

// When the frame begins that is shown at a time. Its segment begins with a frame, even where the rate varies.
function frameStart(seconds) {
  const { start } = segments[segmentAt(seconds)];
  return start + Math.max(0, Math.floor((seconds - start + 0.0005) * data.fps)) * frame;
}

function show(seconds) {
  time = Math.min(Math.max(seconds, data.start), data.end);
  byId("cursor").style.transform = `translateX(${((time - data.start) / length) * chart.clientWidth}px)`;
  const index = segmentAt(time);
  const column = lastAt(data.times.length, (i) => data.times[i] - frame / 2, time);
  const { label } = segments[index];
  const ranked = data.curves.map((curve) => [curve.label, curve.smoothed[column]]).sort((a, b) => b[1] - a[1]);
  const own = ranked.find(([name]) => name === label);
  byId("now-time").textContent = clock(time, 3);
  byId("now-label").textContent = own ? `${label} ${percent(own[1])}` : label;
  byId("now-all").textContent = ranked.filter(([name]) => name !== label).slice(0, 3)
    .map(([name, probability]) => `${name} ${percent(probability)}`).join(", ");
  chart.setAttribute("aria-valuenow", time.toFixed(3));
  chart.setAttribute("aria-valuetext", `${clock(time, 3)}, ${byId("now-label").textContent}`);
  if (index === current) return;
  const items = byId("segments").children;
  items[current]?.firstChild.removeAttribute("aria-current");
  current = index;
  items[current].firstChild.setAttribute("aria-current", "true");
  reveal(items[current]);
  labelField.value = label;
}

function reveal(item) {
  const list = byId("segments"), above = item.offsetTop - list.offsetTop;
  if (above < list.scrollTop || above + item.offsetHeight > list.scrollTop + list.clientHeight)
    list.scrollTop = above - list.clientHeight / 3;
}

function seek(seconds) {
  show(frameStart(Math.min(Math.max(seconds, data.start), data.end - frame / 2)));
  // To the middle of the frame: its beginning may be rounded to the one before.
  if (!video.hidden) video.currentTime = Math.max(0, time + frame / 2 - data.video.begin);
}

function move(frames) {
  video.pause();
  seek(frameStart(time) + frames * frame);
}

function toSegment(step) {
  const inside = time > segments[current].start + frame;
  const index = step < 0 && inside ? current : current + step;
  if (segments[index]) seek(segments[index].start);
}

function follow() {
  const now = video.currentTime + data.video.begin;
  if (!video.seeking && video.readyState) show(video.paused ? frameStart(now) : now);
  if (!video.paused) requestAnimationFrame(follow);
}

// --- What the viewer does ----------------------------------------------------------------------

function seekTo(event) {
  const { left, width } = chart.getBoundingClientRect();
  seek(data.start + ((event.clientX - left) / width) * length);
}

chart.addEventListener("pointerdown", (event) => {
  chart.setPointerCapture(event.pointerId);
  seekTo(event);
});
chart.addEventListener("pointermove", (event) => {
  if (chart.hasPointerCapture(event.pointerId)) seekTo(event);
});
byId("segments").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) seek(segments[button.dataset.index].start);
});
let chosenByPointer = false;
labelField.addEventListener("pointerdown", () => (chosenByPointer = true));
labelField.addEventListener("focus", () => video.pause());
labelField.addEventListener("change", () => {
  relabel();
  // Whoever uses the keyboard may want to go on choosing; others expect the keys to work again.
  if (chosenByPointer) chart.focus();
  chosenByPointer = false;
});
labelField.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") chart.focus();
});
byId("cut").addEventListener("click", cut);
byId("undo").addEventListener("click", undo);
byId("save").addEventListener("click", save);

const KEYS = {
  " ": () => (video.paused ? video.play() : video.pause()),
  ArrowLeft: (event) => move(event.shiftKey ? -Math.round(data.fps) : -1),
  ArrowRight: (event) => move(event.shiftKey ? Math.round(data.fps) : 1),
  Home: () => seek(data.start),
  End: () => seek(data.end),
  p: () => toSegment(-1),
  n: () => toSegment(1),
  c: cut,
  u: undo,
  l: () => labelField.focus(),
};
document.addEventListener("keydown", (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const typing = event.target === labelField, pressing = key === " " && event.target.tagName === "BUTTON";
  if (typing || pressing || event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(KEYS, key)) return;
  event.preventDefault();
  KEYS[key](event);
}, true);

video.addEventListener("play", () => requestAnimationFrame(follow));
video.addEventListener("timeupdate", () => {
  if (video.paused) follow();
});
addEventListener("resize", () => {
  drawAxis();
  show(time);
});

function withoutVideo(reason) {
  video.hidden = true;
  byId("no-video").hidden = false;
  byId("no-video").textContent = reason;
}

function showPhoto() {
  const photo = document.createElement("img");
  document.body.classList.add("photo");
  byId("list").textContent = "Label";
  photo.id = "photo";
  photo.alt = "";
  video.before(photo);
  // No browser shows every kind of picture.
  photo.addEventListener("error", () => (photo.src = data.photo), { once: true });
  photo.src = data.video ? data.video.address : data.photo;
}

chart.setAttribute("aria-valuemin", data.start);
chart.setAttribute("aria-valuemax", data.end);
labelField.add(new Option("a new one…"));
for (const label of [...data.labels, ...segments.map((segment) => segment.label)]) if (!labels.has(label)) offer(label);
if (data.photo) showPhoto();
else if (data.video) {
  video.hidden = false;
  video.addEventListener("error", () => withoutVideo(`This browser cannot play ${data.video.name}; an annotated .mp4 it can. All else is here.`));
  video.src = data.video.address;
} else {
  withoutVideo("There is no video to play here. All else is.");
}
drawCurves();
drawLegend();
drawFacts();
drawAxis();
drawSegments();
