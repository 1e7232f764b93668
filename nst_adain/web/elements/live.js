// The camera through the model. Two frames are under way at a time: one is computed while the other travels, and nothing piles
// up. `value` is the frame that is sent, {number, picture}; `shown` answers, {number, picture, message}.
const find = (what) => element.querySelector(what), video = find("video"), screen = find("canvas"), said = find("[role=status]");
const camera = document.createElement("canvas"), times = [];
let stream = null, late = null, sent = 0, answered = 0;

const stop = (why = "The camera appears here. Nothing is recorded or kept.") => {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  clearTimeout(late);
  times.length = 0;
  find("output").textContent = "";
  said.textContent = why;
  said.hidden = false;
  [find("[name=start]").disabled, find("[name=stop]").disabled] = [false, true];
};
const send = () => {
  if (!stream) return;
  if (!element.offsetParent) return void stop();  // another tab is open
  const side = Number(find("[name=side]").value), scale = side / Math.min(video.videoWidth, video.videoHeight);
  [camera.width, camera.height] = [video.videoWidth, video.videoHeight].map((length) => Math.round(length * scale));
  camera.getContext("2d").drawImage(video, 0, 0, camera.width, camera.height);
  props.value = {number: ++sent, picture: camera.toDataURL("image/jpeg", 0.9)};
  trigger("input");
};
const proceed = () => {
  clearTimeout(late);
  late = setTimeout(() => { answered = sent; proceed(); }, 10000);  // an answer was lost
  while (stream && sent - answered < 2) send();
};
find("[name=start]").addEventListener("click", async () => {
  let started = null;
  find("[name=start]").disabled = true;
  said.textContent = "Starting ...";
  try {
    started = await navigator.mediaDevices.getUserMedia({video: {width: {ideal: 640}}});
    video.srcObject = started;
    await video.play();
  } catch (error) {
    started?.getTracks().forEach((track) => track.stop());
    return void stop(`There is no camera to use: ${error.message}`);
  }
  [stream, answered] = [started, sent];  // only now: a late answer to the camera before would send a frame that has no size yet
  find("[name=stop]").disabled = false;
  proceed();
});
find("[name=stop]").addEventListener("click", () => stop());
watch("shown", () => {
  if (!stream) return;
  if (props.shown.message) return void stop(props.shown.message);
  if (props.shown.number <= answered) return;
  answered = props.shown.number;
  proceed();
  const image = new Image();
  image.onload = () => {
    if (!stream) return;
    [screen.width, screen.height] = [image.naturalWidth, image.naturalHeight];
    screen.getContext("2d").drawImage(image, 0, 0);
    said.hidden = true;
    times.push(performance.now());
    if (times.length > 20) times.shift();
    const rate = 1000 * (times.length - 1) / (times.at(-1) - times[0]);
    if (times.length > 5) find("output").textContent = `${rate.toFixed(0)} frames per second`;
  };
  image.src = props.shown.picture;
});
