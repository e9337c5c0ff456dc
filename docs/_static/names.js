// The theme's sidebar opens and closes groups of pages by arrows without a name; readers of screens need one.
document.querySelectorAll(".bd-sidebar-primary summary").forEach((arrow) => {
  const page = arrow.closest("li").querySelector("a");
  arrow.setAttribute("aria-label", `Pages below ${page.textContent.trim()}`);
});
