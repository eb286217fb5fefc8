// A browser sends no click if the pressed element is moved or replaced before the release, so a release counts as a click
// here. The list of a row sends its actions, with the row's key, since the server may have deleted the row by then.
(() => {
  const NEAR = 10; // pixels from press to release; a release further away cancels the press
  let pressed = null; // the pressed control, until its click
  let isReleased = false; // whether the press was already handled, so that a later click of the browser is ignored

  function actionOf(control) {
    const row = control?.closest("[data-key]");
    const list = row?.closest("[data-actions]");
    const { act, value = "" } = control?.dataset ?? {};
    return act && list && { list, detail: [act, row.dataset.key, value] };
  }

  function send({ list, detail }) {
    list.dispatchEvent(new CustomEvent("act", { detail }));
  }

  function release({ control, action }) {
    isReleased = true;
    if (action && !control.isConnected) send(action);
    else control.click();
  }

  function press(event) {
    const control = event.target.closest?.("button, a[href]");
    const hasModifier = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey; // such a click opens another tab
    const isPlain = event.isPrimary && event.button === 0 && !hasModifier;
    pressed = control && isPlain ? { control, action: actionOf(control), x: event.clientX, y: event.clientY } : null;
    isReleased = false;
  }

  function lift(event) {
    const press = pressed;
    if (press && Math.hypot(event.clientX - press.x, event.clientY - press.y) > NEAR) pressed = null;
    setTimeout(() => {
      if (!press || pressed !== press) return;
      pressed = null;
      release(press);
    });
  }

  function click(event) {
    if (event.isTrusted && event.detail > 0) { // by a pointer, not the keyboard or a script
      const press = pressed;
      pressed = null;
      const isElsewhere = press && !press.control.contains(event.target);
      if (isReleased || isElsewhere) {
        event.preventDefault();
        event.stopPropagation();
        if (isElsewhere) release(press);
        return;
      }
    }
    const action = actionOf(event.target.closest?.("button"));
    if (action) send(action);
  }

  const listeners = { pointerdown: press, pointerup: lift, pointercancel: () => (pressed = null), click };
  for (const [type, listener] of Object.entries(listeners)) addEventListener(type, listener, true);
})();
