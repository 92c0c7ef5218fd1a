// Keeps a polled region of a page fresh: asks only when it is seen, keeps what did not change, notices a lost session.
//
// The region names its address in hx-get and the version it shows in data-etag; htmx does the rest.
(function () {
  "use strict";

  const isPolled = (element) => element instanceof HTMLElement && element.dataset.etag !== undefined;

  document.addEventListener("htmx:configRequest", (event) => {
    if (!isPolled(event.target)) return;
    if (document.hidden) {
      event.preventDefault();
      return;
    }
    event.detail.headers["If-None-Match"] = event.target.dataset.etag;
  });

  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!isPolled(event.target)) return;
    const answered = event.detail.xhr;
    if (answered.status === 304) {
      event.detail.shouldSwap = false;
    } else if (answered.status < 400 && !answered.getResponseHeader("ETag")) {
      // Another page answered, such as the log-in: let the browser go there.
      event.detail.shouldSwap = false;
      window.location.reload();
    }
  });

  // One menu at a time; Escape closes it and gives the focus back.
  document.addEventListener("toggle", (event) => {
    const opened = event.target;
    if (!(opened instanceof HTMLDetailsElement) || !opened.open || !opened.dataset.menu) return;
    document.querySelectorAll("details[data-menu][open]").forEach((menu) => {
      if (menu !== opened) menu.open = false;
    });
  }, true);

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    document.querySelectorAll("details[data-menu][open]").forEach((menu) => {
      const holdsFocus = menu.contains(document.activeElement);
      menu.open = false;
      if (holdsFocus) menu.querySelector("summary").focus();
    });
  });

  document.addEventListener("click", (event) => {
    document.querySelectorAll("details[data-menu][open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });
})();
