// Gestures of mouse, pen and fingers on an element: drag, pinch, swipe, tap and double tap.

const MIN_DRAG = 6; // CSS pixels; a smaller movement is a tap
const MIN_SWIPE = 50;
const DOUBLE_TAP_MS = 350;
const DOUBLE_TAP_DISTANCE = 30;

// handlers: isActive(event): whether a press starts a gesture;
//   drag(dx, dy); pinch(factor, {x, y}); swipe(1 or -1): a finger has gone to the left or right;
//   tap(event), doubleTap({x, y}).
export function listenToGestures(element, handlers) {
  const points = new Map(); // pointer id -> {x, y}, while it is pressed
  let start = null; // {x, y, isMoved, isPinch} of the gesture
  let lastTap = null; // {x, y, time}

  element.addEventListener("pointerdown", (event) => {
    if (event.button || !handlers.isActive(event)) return;
    element.setPointerCapture(event.pointerId);
    const point = { x: event.clientX, y: event.clientY };
    points.set(event.pointerId, point);
    start = points.size === 1 ? { ...point, isMoved: false, isPinch: false } : { ...start, isPinch: true };
  });

  element.addEventListener("pointermove", (event) => {
    const old = points.get(event.pointerId);
    if (!old) return;
    const before = measure(points);
    points.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const after = measure(points);
    const distance = Math.hypot(event.clientX - start.x, event.clientY - start.y);
    start.isMoved ||= distance >= MIN_DRAG;
    if (points.size === 2) handlers.pinch(after.spread / Math.max(1, before.spread), after);
    if (start.isMoved || start.isPinch) handlers.drag(after.x - before.x, after.y - before.y);
  });

  element.addEventListener("pointerup", (event) => {
    if (!points.delete(event.pointerId) || points.size) return;
    const point = { x: event.clientX, y: event.clientY };
    const [dx, dy] = [point.x - start.x, point.y - start.y];
    if (start.isPinch) lastTap = null;
    else if (!start.isMoved) tap(event, point);
    else if (event.pointerType !== "mouse" && Math.abs(dx) > Math.max(MIN_SWIPE, Math.abs(dy))) {
      handlers.swipe(dx < 0 ? 1 : -1);
    }
  });

  element.addEventListener("pointercancel", (event) => points.delete(event.pointerId));

  function tap(event, point) {
    const isDouble =
      lastTap && event.timeStamp - lastTap.time < DOUBLE_TAP_MS &&
      Math.hypot(point.x - lastTap.x, point.y - lastTap.y) < DOUBLE_TAP_DISTANCE;
    lastTap = isDouble ? null : { ...point, time: event.timeStamp };
    if (isDouble) handlers.doubleTap(point);
    else handlers.tap(event);
  }
}

// Return the center of the points, and the distance of the first two.
function measure(points) {
  const [a, b = a] = points.values();
  return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, spread: Math.hypot(a.x - b.x, a.y - b.y) };
}

const WHEEL_STEP = 0.0015; // exponent of the zoom for one pixel of the wheel
const LINE_PIXELS = 16; // browsers that count a wheel in lines
const PINCH_WHEEL = 6; // a pinch on a touchpad sends a small wheel with the Ctrl key

// Call zoom(factor, {x, y}) for each turn of the wheel over an element; isActive: see above.
export function listenToWheel(element, zoom, isActive = () => true) {
  element.addEventListener(
    "wheel",
    (event) => {
      if (!isActive(event)) return;
      event.preventDefault(); // a pinch on a touchpad would zoom the page
      const pixels = event.deltaY * (event.deltaMode ? LINE_PIXELS : 1) * (event.ctrlKey ? PINCH_WHEEL : 1);
      zoom(Math.exp(-pixels * WHEEL_STEP), { x: event.clientX, y: event.clientY });
    },
    { passive: false },
  );
}
