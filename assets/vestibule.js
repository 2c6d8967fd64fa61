// Small comforts. Every page works without this file.
"use strict";

// A page that only passes an answer on does so by itself.
document.querySelector("form[data-submit-at-once]")?.submit();

// One press is enough: a second one while the first is under way is dropped.
for (const form of document.querySelectorAll("form[method=post]")) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (event.submitter?.formTarget === "_blank") return;
    if (sent) event.preventDefault();
    sent = true;
    form.setAttribute("aria-busy", "true");
  });
  addEventListener("pageshow", () => {
    sent = false;
    form.removeAttribute("aria-busy");
  });
}

// Opening the document makes accepting the next thing to do. Whether it counts is for the server to say.
const open = document.getElementById("open-terms");
open?.addEventListener("click", () => {
  for (const hint of document.querySelectorAll("[data-before-opening]")) hint.hidden = true;
  for (const hint of document.querySelectorAll("[data-after-opening]")) hint.hidden = false;
  open.classList.replace("primary", "secondary");
  document.getElementById("accept")?.classList.replace("secondary", "primary");
});
