// What pages gain with scripts: theme, copy buttons, relative times, and news of the served revision.
// Everything works without it.
"use strict";
(function () {
  const root = document.documentElement;

  // --- theme ---
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => root.dataset.theme || (systemDark.matches ? "dark" : "light");
  function nameThemeButton() {
    const button = document.getElementById("theme");
    const label = theme() === "dark" ? "Light theme" : "Dark theme";
    if (button) { button.title = label; button.setAttribute("aria-label", label); }
  }
  function toggleTheme() {
    root.dataset.theme = theme() === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* for this page only */ }
    nameThemeButton();
  }

  // --- copying ---
  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without HTTPS there is no clipboard.
      if (!copyFromField(text)) return;
      button.focus();
    }
    const label = button.textContent;
    button.dataset.done = "";
    button.textContent = "Copied";
    setTimeout(() => { delete button.dataset.done; button.textContent = label; }, 1500);
  }

  function copyFromField(text) {
    const field = document.createElement("textarea");
    field.className = "visually-hidden";
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }

  // --- times ---
  const steps = [[60, "second"], [60, "minute"], [24, "hour"], [7, "day"], [4.35, "week"], [12, "month"], [Infinity, "year"]];
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  function relative(date) {
    let amount = (date - Date.now()) / 1000;
    for (const [size, unit] of steps) {
      if (Math.abs(amount) < size) return words.format(Math.round(amount), unit);
      amount /= size;
    }
    return "";
  }
  function tellTimes(within) {
    for (const time of within.querySelectorAll("time[data-relative]")) {
      if (!time.title) time.title = time.textContent.trim();
      time.textContent = relative(new Date(time.dateTime));
    }
  }

  // --- news ---
  function say(text) {
    document.querySelector(".toast")?.remove();
    const toast = document.createElement("div");
    toast.className = "toast";
    toast.setAttribute("role", "status");
    toast.textContent = text;
    document.body.append(toast);
    setTimeout(() => toast.remove(), 4000);
  }
  function follow() {
    const dot = document.querySelector("[data-events]");
    if (!dot || !window.EventSource) return;
    const events = new EventSource(dot.dataset.events);
    const light = (state) => {
      for (const found of document.querySelectorAll(".live-dot")) found.dataset.state = state;
    };
    events.addEventListener("open", () => light("on"));
    events.addEventListener("error", () => light("off"));
    events.addEventListener("revision", (event) => {
      const served = JSON.parse(event.data);
      const shown = document.getElementById("revision")?.dataset;
      if (!shown || shown.etag === served.etag) return;
      if (document.activeElement?.matches("main input, main select")) {
        say("There is a newer revision: reload to see it.");
        return;
      }
      htmx.ajax("GET", location.href, { source: "#main", target: "#main", select: "#main", swap: "outerHTML", selectOOB: "#revision" })
        .then(() => say("Updated to the newest revision."));
    });
    events.addEventListener("live", () => {
      if (document.getElementById("live")) htmx.trigger("#live", "live");
    });
    addEventListener("pagehide", () => events.close());
    addEventListener("pageshow", (event) => { if (event.persisted) follow(); });
  }

  // --- logs that grow stay at their end, unless the visitor reads further up ---
  const reading = new Map();
  function notePlaces() {
    for (const log of document.querySelectorAll("[data-follow]")) {
      const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 8;
      if (atEnd) reading.delete(log.id); else reading.set(log.id, log.scrollTop);
    }
  }
  function showEnds(within) {
    for (const log of within.querySelectorAll("[data-follow]")) {
      log.scrollTop = reading.get(log.id) ?? log.scrollHeight;
    }
  }

  function fresh(within) {
    tellTimes(within);
    showEnds(within);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.id === "theme") toggleTheme();
    else if (button.dataset.copy !== undefined) copy(button);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select, textarea")) return;
    const search = document.getElementById("search");
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  });
  systemDark.addEventListener("change", nameThemeButton);
  document.addEventListener("htmx:beforeSwap", notePlaces);
  document.addEventListener("htmx:afterSettle", () => { nameThemeButton(); fresh(document); });
  nameThemeButton();
  fresh(document);
  follow();
})();
