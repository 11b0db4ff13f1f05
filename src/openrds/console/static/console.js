// What the pages need besides htmx: how live they are, copying, and a new page where the old one is over.

const LOOKS = {
  live: ["good", "check"],
  paused: ["rest", "dot"],
  reconnecting: ["warn", "back"],
};

function tell(word) {
  const place = document.querySelector("#liveness");
  if (!place) return;
  const [tone, icon] = LOOKS[word];
  place.className = `status ${tone}`;
  place.querySelector("use").setAttribute("href", `/console/static/icons.svg#${icon}`);
  place.querySelector("span").textContent = word;
}

document.addEventListener("htmx:sse:after:connection", () => tell("live"));
document.addEventListener("htmx:sse:before:connection", (event) => {
  if (event.detail.connection.attempt > 0) tell(document.hidden ? "paused" : "reconnecting");
});
document.addEventListener("htmx:sse:error", () => tell("reconnecting"));
document.addEventListener("htmx:sse:close", () => tell("reconnecting"));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) tell("paused");
});
// Sent where the session has ended, or what the page is about is gone: the page says it.
document.addEventListener("reload", () => location.reload());

async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  // Over plain HTTP there is no clipboard.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  let said = "Copied";
  try {
    await copy(button.dataset.copy);
  } catch {
    said = "Not copied: select the text instead";
  }
  button.querySelector("span").textContent = said;
  document.querySelector("#said").textContent = said;
  button.focus();
});
