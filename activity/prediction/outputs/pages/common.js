"use strict";
// What both kinds of page begin with.
const data = JSON.parse(document.getElementById("data").textContent); // what page.py has to tell
const byId = (id) => document.getElementById(id);

function element(name, parent, content = "") {
  const made = parent.appendChild(document.createElement(name));
  made.textContent = content;
  return made;
}

// A name after its colour.
function named(name, colour, parent) {
  const swatch = element("span", parent);
  swatch.className = "swatch";
  swatch.style.background = colour;
  parent.append(name);
}

function clock(seconds, digits) {
  const pad = (number, size) => String(number).padStart(size, "0");
  const rounded = Number(seconds.toFixed(digits)), whole = Math.floor(rounded + 1e-9);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = pad((rounded - 60 * Math.floor(whole / 60)).toFixed(digits), digits ? 3 + digits : 2);
  return hours ? `${hours}:${pad(minutes, 2)}:${rest}` : `${minutes}:${rest}`;
}

byId("title").textContent = data.title;
