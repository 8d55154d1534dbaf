/* Fields to draw in. Their value is a list of data URLs, "" for an empty field. A drawing is black on white. */
const PIXELS = 280, PEN = 18;
const cells = [...element.querySelectorAll(".field")];
const note = element.querySelector(".note");
let values = cells.map(() => "");
let sent = JSON.stringify(values);

function send() {
  sent = JSON.stringify(values);
  props.value = [...values];
  trigger("input");
}

function context(cell) {
  return cell.querySelector("canvas").getContext("2d");
}

function blank(cell) {
  const c = context(cell);
  c.fillStyle = "#fff";
  c.fillRect(0, 0, PIXELS, PIXELS);
}

function mark(i) {
  cells[i].classList.toggle("filled", values[i] !== "");
}

/* Shows a picture that was dropped or taken; the server is sent the picture itself. */
function show(i, url) {
  blank(cells[i]);
  values[i] = url;
  mark(i);
  cells[i].classList.remove("unreadable");
  if (!url) return;
  const picture = new Image();
  picture.onload = () => {
    if (values[i] !== url) return;
    const scale = PIXELS / Math.max(picture.width, picture.height), c = context(cells[i]);
    const width = picture.width * scale, height = picture.height * scale;
    c.imageSmoothingEnabled = scale < 1;
    c.drawImage(picture, (PIXELS - width) / 2, (PIXELS - height) / 2, width, height);
  };
  picture.onerror = () => values[i] === url && cells[i].classList.add("unreadable");
  picture.src = url;
}

function take(i, file) {
  note.textContent = "";
  if (!file) return;
  if (file.size > props.most_bytes) {
    note.textContent = `${file.name} is larger than ${props.most_bytes / 1e6} MB. Take a smaller picture.`;
    return;
  }
  const reader = new FileReader();
  reader.onload = () => { show(i, reader.result); send(); };
  reader.readAsDataURL(file);
}

cells.forEach((cell, i) => {
  const canvas = cell.querySelector("canvas"), input = cell.querySelector("input");
  blank(cell);
  let last = null;

  function at(event) {
    const box = canvas.getBoundingClientRect(), by = PIXELS / box.width;
    return [(event.clientX - box.left) * by, (event.clientY - box.top) * by];
  }

  function line(event) {
    const c = context(cell), here = at(event);
    c.strokeStyle = "#000";
    c.lineWidth = PEN;
    c.lineCap = c.lineJoin = "round";
    c.beginPath();
    c.moveTo(...last);
    c.lineTo(...here);
    c.stroke();
    last = here;
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    cell.classList.add("filled");
    last = at(event);
    line(event);
  });
  canvas.addEventListener("pointermove", (event) => { if (last) line(event); });
  const lift = () => {
    if (!last) return;
    last = null;
    values[i] = canvas.toDataURL("image/png");
    cell.classList.remove("unreadable");
    send();
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);

  cell.querySelector(".clear").addEventListener("click", () => { show(i, ""); send(); });
  cell.querySelector(".open").addEventListener("click", () => input.click());
  input.addEventListener("change", () => { take(i, input.files[0]); input.value = ""; });
  cell.addEventListener("dragover", (event) => { event.preventDefault(); cell.classList.add("over"); });
  cell.addEventListener("dragleave", () => cell.classList.remove("over"));
  cell.addEventListener("drop", (event) => {
    event.preventDefault();
    cell.classList.remove("over");
    [...event.dataTransfer.files].slice(0, cells.length - i).forEach((file, k) => take(i + k, file));
  });
});

watch("value", () => {
  const now = JSON.stringify(props.value);
  if (now === sent) return;
  sent = now;
  note.textContent = "";
  cells.forEach((_, i) => show(i, (props.value || [])[i] || ""));
});
