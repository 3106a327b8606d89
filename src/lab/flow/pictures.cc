#include "lab/flow/pictures.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/base64.h"
#include "base/error.h"
#include "lab/flow/png.h"
#include "report/markup.h"
#include "report/svg.h"

namespace ropewalk::lab::flow {
namespace {

using report::EscapeXml;
using report::Px;

constexpr double kScenePx = 300;
constexpr double kGapPx = 14;
constexpr double kHeadPx = 30;   // a scene's title
constexpr double kTitlePx = 52;  // the picture's
constexpr const char* kFont =
    "system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif";

struct Layout {
  int64_t columns, rows;
  double width, height;
  double Left(size_t i) const {
    return kGapPx + static_cast<double>(static_cast<int64_t>(i) % columns) *
                        (kScenePx + kGapPx);
  }
  double Top(size_t i) const {
    return kTitlePx + kHeadPx +
           static_cast<double>(static_cast<int64_t>(i) / columns) *
               (kScenePx + kHeadPx + kGapPx);
  }
};

Layout LayoutOf(size_t scenes, int64_t columns) {
  const auto count = static_cast<int64_t>(scenes);
  columns = std::clamp<int64_t>(columns, 1, std::max<int64_t>(1, count));
  const int64_t rows = (count + columns - 1) / columns;
  return {columns, rows,
          kGapPx + static_cast<double>(columns) * (kScenePx + kGapPx),
          kTitlePx + static_cast<double>(rows) * (kScenePx + kHeadPx + kGapPx)};
}

std::string Text(double x, double y, double size, const char* fill,
                 const std::string& text, int weight = 400) {
  return "<text x=\"" + Px(x) + "\" y=\"" + Px(y) + "\" font-size=\"" +
         Px(size) + "\" font-weight=\"" + std::to_string(weight) +
         "\" fill=\"" + fill + "\">" + EscapeXml(text) + "</text>\n";
}

std::string Begin(const std::string& title, double width, double height) {
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" "
         "width=\"" +
         Px(width) + "\" height=\"" + Px(height) + "\" viewBox=\"0 0 " +
         Px(width) + " " + Px(height) + "\" role=\"img\" aria-label=\"" +
         EscapeXml(title) +
         "\" style=\"max-width:100%;height:auto;border-radius:10px\" "
         "font-family=\"" +
         std::string(kFont) + "\">\n<rect width=\"" + Px(width) +
         "\" height=\"" + Px(height) + "\" fill=\"#0a0e1a\"/>\n" +
         Text(kGapPx + 2, 33, 18, "#f2f4fa", title, 600);
}

std::string Picture(double left, double top, double width, double height,
                    const std::string& uri, bool smooth) {
  return "<image x=\"" + Px(left) + "\" y=\"" + Px(top) + "\" width=\"" +
         Px(width) + "\" height=\"" + Px(height) +
         "\" preserveAspectRatio=\"none\" style=\"image-rendering:" +
         (smooth ? "auto" : "pixelated") + "\" href=\"" + uri + "\"/>\n";
}

// Pixels of a scene's coordinates; nested <svg> cuts off what lies outside.
struct Place {
  double extent;
  double X(double x) const { return (x / extent + 1) * kScenePx / 2; }
  double Y(double y) const { return (1 - y / extent) * kScenePx / 2; }
};

at::Tensor OnCpu(const at::Tensor& x) {
  return x.detach().to(at::kCPU, at::kFloat).contiguous();
}

std::string Dots(const at::Tensor& points, const Place& place, double radius,
                 const std::string& style) {
  const at::Tensor here = OnCpu(points);
  const auto p = here.accessor<float, 2>();
  // One path of many short lines with round ends: far smaller than circles.
  std::string d;
  for (int64_t i = 0; i < here.size(0); ++i) {
    d += "M" + Px(place.X(p[i][0])) + " " + Px(place.Y(p[i][1])) + "h0";
  }
  return "<path d=\"" + d +
         "\" fill=\"none\" stroke-linecap=\"round\" "
         "stroke-width=\"" +
         Px(2 * radius) + "\" " + style + "/>\n";
}

// Paths in a few stretches of time, each brighter than the one before.
std::string Paths(const at::Tensor& paths, const Place& place) {
  constexpr int64_t kStretches = 4;
  constexpr std::array<const char*, kStretches> kColours = {
      "stroke=\"#8fc4ff\" stroke-opacity=\".4\"",
      "stroke=\"#c4dcff\" stroke-opacity=\".5\"",
      "stroke=\"#ffe9c4\" stroke-opacity=\".6\"",
      "stroke=\"#ffd98c\" stroke-opacity=\".75\""};
  const at::Tensor here = OnCpu(paths);
  const auto p = here.accessor<float, 3>();
  const int64_t F = here.size(0);
  std::string out;
  for (int64_t s = 0; s < kStretches; ++s) {
    const int64_t begin = (F - 1) * s / kStretches;
    const int64_t end = (F - 1) * (s + 1) / kStretches;
    std::string d;
    for (int64_t n = 0; n < here.size(1); ++n) {
      for (int64_t f = begin; f <= end; ++f) {
        d += (f == begin ? "M" : "L") + Px(place.X(p[f][n][0])) + " " +
             Px(place.Y(p[f][n][1]));
      }
    }
    out += "<path d=\"" + d + "\" fill=\"none\" stroke-width=\".9\" " +
           "stroke-linejoin=\"round\" " + kColours[static_cast<size_t>(s)] +
           "/>\n";
  }
  return out + Dots(here[0], place, 1.3, "stroke=\"#8fd3ff\"") +
         Dots(here[F - 1], place, 3.2,
              "stroke=\"#ffb347\" stroke-opacity=\".28\"") +
         Dots(here[F - 1], place, 1.5, "stroke=\"#fff3d6\"");
}

void RequireScene(const Scene& scene) {
  Require(scene.extent > 0, "picture: an extent is above 0");
  Require(!scene.paths.defined() ||
              (scene.paths.dim() == 3 && scene.paths.size(2) == 2 &&
               scene.paths.size(0) >= 1),
          "picture: paths are [F, N, 2]");
}

// Two bytes a coordinate, little-endian, 32767 at twice the extent.
std::string PackedFrames(const at::Tensor& paths, double extent) {
  const at::Tensor scaled =
      (OnCpu(paths) / (2 * extent)).clamp(-1, 1).mul(32767).round();
  const auto* values = scaled.data_ptr<float>();
  std::string bytes;
  for (int64_t i = 0; i < scaled.numel(); ++i) {
    const auto bits = static_cast<uint16_t>(static_cast<int16_t>(values[i]));
    bytes += static_cast<char>(bits & 255);
    bytes += static_cast<char>(bits >> 8);
  }
  return EncodeBase64(bytes);
}

// Everything about one film is found from its own script element, so a page
// may hold many.
constexpr const char* kFilmScript = R"JS(
(function(){
const box=document.currentScript.parentElement;
const slider=box.querySelector('input'),label=box.querySelector('output');
const button=box.querySelector('button');
const labels=JSON.parse(box.dataset.labels);
const unpack=t=>{const s=atob(t),b=new Uint8Array(s.length);
for(let i=0;i<s.length;i++)b[i]=s.charCodeAt(i);return new Int16Array(b.buffer)};
const scenes=[...box.querySelectorAll('canvas')].map(c=>({c,g:c.getContext('2d'),
p:unpack(c.dataset.frames),m:c.dataset.target?unpack(c.dataset.target):null,
n:+c.dataset.count}));
const glow=document.createElement('canvas');glow.width=glow.height=24;
const q=glow.getContext('2d'),r=q.createRadialGradient(12,12,0,12,12,12);
r.addColorStop(0,'rgba(255,246,224,1)');r.addColorStop(.18,'rgba(255,226,160,.95)');
r.addColorStop(.45,'rgba(255,179,71,.28)');r.addColorStop(1,'rgba(255,150,50,0)');
q.fillStyle=r;q.fillRect(0,0,24,24);
const at=v=>v*2/32767;
function draw(t){const last=labels.length-1;t=Math.max(0,Math.min(last,t));
const f=Math.min(last,Math.floor(t)),k=Math.min(last,f+1),w=t-f;
for(const s of scenes){const W=s.c.width,g=s.g;g.clearRect(0,0,W,W);
const X=v=>(at(v)+1)*W/2,Y=v=>(1-at(v))*W/2;
if(s.m){g.fillStyle='rgba(150,190,255,.35)';for(let i=0;i<s.m.length;i+=2)
g.fillRect(X(s.m[i])-1,Y(s.m[i+1])-1,2,2)}
g.globalCompositeOperation='lighter';
for(let i=0;i<s.n;i++){const a=2*(f*s.n+i),b=2*(k*s.n+i);
const x=s.p[a]*(1-w)+s.p[b]*w,y=s.p[a+1]*(1-w)+s.p[b+1]*w;
g.drawImage(glow,X(x)-10,Y(y)-10,20,20)}
g.globalCompositeOperation='source-over'}
label.textContent=labels[Math.round(t)]}
let playing=false,then=0,time=0;
function tick(now){if(!playing)return;time+=(now-then)/1000*labels.length/6;then=now;
if(time>=labels.length-1){time=labels.length-1;stop()}
slider.value=time;draw(time);if(playing)requestAnimationFrame(tick)}
function stop(){playing=false;button.textContent='play'}
button.onclick=()=>{if(playing){stop();return}
if(time>=labels.length-1)time=0;playing=true;button.textContent='pause';
then=performance.now();requestAnimationFrame(tick)};
slider.oninput=()=>{stop();time=+slider.value;draw(time)};
draw(0)})();
)JS";

std::string JsonList(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    std::string quoted;
    for (const char c : text) {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
    out += (out.size() > 1 ? ",\"" : "\"") + quoted + "\"";
  }
  return out + "]";
}

}  // namespace

at::Tensor SampleField(const RatioField& field, double t, double extent,
                       int64_t pixels) {
  Require(extent > 0 && pixels >= 2, "picture: extent and pixels above 0");
  const double half = extent / static_cast<double>(pixels);
  const at::Tensor line =
      at::linspace(-extent + half, extent - half, pixels, field.like());
  const auto grid = at::meshgrid({line.flip(0), line}, "ij");
  const at::Tensor x = at::stack({grid[1].flatten(), grid[0].flatten()}, 1);
  std::vector<at::Tensor> parts;
  // A kernel estimate looks at every pair of a pixel and a point.
  for (const at::Tensor& part : x.split(4096)) {
    parts.push_back(field.LogRatio(part, t).detach().to(at::kCPU));
  }
  return at::cat(parts).view({pixels, pixels});
}

at::Tensor FieldColours(const at::Tensor& field, double largest) {
  Require(largest > 0, "picture: the largest log ratio is above 0");
  // Blue, deep blue, night, ember, amber at -1, -1/2, 0, 1/2, 1.
  const at::Tensor stops =
      at::tensor({44.F, 98.F, 200.F, 20.F, 42.F, 100.F, 11.F, 14.F, 28.F, 104.F,
                  42.F, 54.F, 214.F, 132.F, 48.F})
          .view({5, 3});
  // Log ratios reach hundreds far out; asinh keeps shades there.
  const at::Tensor bent = field.to(at::kCPU, at::kFloat).nan_to_num(0).asinh();
  const at::Tensor at_stop = (bent / std::asinh(largest)).clamp(-1, 1) * 2 + 2;
  const at::Tensor below = at_stop.floor().clamp(0, 3);
  const at::Tensor share = (at_stop - below).unsqueeze(-1);
  const at::Tensor index = below.to(at::kLong);
  const at::Tensor colours =
      stops.index({index}) * (1 - share) + stops.index({index + 1}) * share;
  // Lines of equal height, as on a map.
  const at::Tensor height = 2 * bent;
  const at::Tensor line =
      (1 - (height - height.round()).abs() / 0.07).clamp_min(0).unsqueeze(-1);
  return (colours + 22 * line).clamp(0, 255).round().to(at::kByte);
}

std::string ToSvg(const std::string& title, const std::vector<Scene>& scenes,
                  int64_t columns) {
  if (scenes.empty()) return "";
  const Layout layout = LayoutOf(scenes.size(), columns);
  std::string out = Begin(title, layout.width, layout.height);
  for (size_t i = 0; i < scenes.size(); ++i) {
    const Scene& scene = scenes[i];
    RequireScene(scene);
    const double left = layout.Left(i);
    const double top = layout.Top(i);
    out += Text(left + 2, top - 9, 13, "#c3cbe0", scene.title);
    out += "<svg x=\"" + Px(left) + "\" y=\"" + Px(top) + "\" width=\"" +
           Px(kScenePx) + "\" height=\"" + Px(kScenePx) + "\">\n" +
           "<rect width=\"100%\" height=\"100%\" fill=\"#0c0f1e\"/>\n";
    if (scene.field.defined()) {
      out += Picture(0, 0, kScenePx, kScenePx,
                     PngUri(FieldColours(scene.field)), true);
    }
    const Place place{scene.extent};
    if (scene.target.defined()) {
      out += Dots(scene.target, place, 0.8,
                  "stroke=\"#dfe8ff\" stroke-opacity=\".35\"");
    }
    if (scene.paths.defined()) out += Paths(scene.paths, place);
    out += "</svg>\n";
  }
  return out + "</svg>\n";
}

std::string ToHtml(const Film& film) {
  Require(!film.scenes.empty() && !film.labels.empty(),
          "film: no scene, or no frame");
  const auto frames = static_cast<int64_t>(film.labels.size());
  std::string out =
      "<div data-labels=\"" + EscapeXml(JsonList(film.labels)) +
      "\" style=\"background:#0a0e1a;color:#c3cbe0;border-radius:10px;"
      "padding:14px;max-width:100%\">\n<div style=\"font-size:18px;"
      "font-weight:600;color:#f2f4fa;margin:4px 2px 10px\">" +
      EscapeXml(film.title) +
      "</div>\n<div style=\"display:grid;gap:14px;grid-template-columns:"
      "repeat(" +
      std::to_string(film.columns) + ",minmax(0,1fr))\">\n";
  for (const Scene& scene : film.scenes) {
    RequireScene(scene);
    Require(scene.paths.defined() && scene.paths.size(0) == frames,
            "film: a scene has another number of frames than labels");
    std::string ground = "background:#0c0f1e";
    if (scene.field.defined()) {
      ground += " url(" + PngUri(FieldColours(scene.field)) + ") 0 0/100% 100%";
    }
    out += "<div><div style=\"font-size:13px;margin:0 2px 5px\">" +
           EscapeXml(scene.title) +
           "</div><canvas width=\"480\" height=\"480\" style=\"width:100%;"
           "display:block;border-radius:6px;" +
           ground + "\" data-count=\"" + std::to_string(scene.paths.size(1)) +
           "\" data-frames=\"" + PackedFrames(scene.paths, scene.extent) + "\"";
    if (scene.target.defined()) {
      out += " data-target=\"" +
             PackedFrames(scene.target.unsqueeze(0), scene.extent) + "\"";
    }
    out += "></canvas></div>\n";
  }
  return out +
         "</div>\n<div style=\"display:flex;gap:12px;align-items:center;"
         "margin-top:12px\"><button type=\"button\" style=\"font:inherit;"
         "font-size:13px;padding:4px 16px;border:0;border-radius:99px;"
         "background:#ffb042;color:#1a1206;cursor:pointer\">play</button>"
         "<input type=\"range\" min=\"0\" max=\"" +
         std::to_string(frames - 1) +
         "\" step=\"any\" value=\"0\" aria-label=\"time\" "
         "style=\"flex:1;accent-color:#ffb042\"/><output style=\"font-size:"
         "13px;min-width:7em;font-variant-numeric:tabular-nums\"></output>"
         "</div>\n<noscript>The frames move by a script of this page."
         "</noscript>\n<script>" +
         std::string(kFilmScript) + "</script>\n</div>\n";
}

std::string ToSvg(const std::string& title, const std::vector<Sheet>& sheets,
                  int64_t images_a_row) {
  if (sheets.empty()) return "";
  Require(images_a_row >= 1, "picture: a row has an image or more");
  const Layout layout = LayoutOf(sheets.size(), 4);
  std::string out = Begin(title, layout.width, layout.height);
  for (size_t i = 0; i < sheets.size(); ++i) {
    const at::Tensor& images = sheets[i].images;
    Require(images.dim() == 4 && images.size(1) == 1 && images.size(0) >= 1,
            "picture: images are [N, 1, H, W]");
    const int64_t rows = (images.size(0) + images_a_row - 1) / images_a_row;
    const int64_t side_h = images.size(2) + 2;
    const int64_t side_w = images.size(3) + 2;
    at::Tensor sheet = at::full({rows * side_h, images_a_row * side_w}, 12,
                                at::dtype(at::kByte));
    for (int64_t n = 0; n < images.size(0); ++n) {
      const int64_t top = n / images_a_row * side_h + 1;
      const int64_t left = n % images_a_row * side_w + 1;
      sheet.slice(0, top, top + side_h - 2)
          .slice(1, left, left + side_w - 2)
          .copy_(((OnCpu(images[n][0]) + 1) * 127.5).round().clamp(0, 255));
    }
    const double height = kScenePx * static_cast<double>(sheet.size(0)) /
                          static_cast<double>(sheet.size(1));
    out += Text(layout.Left(i) + 2, layout.Top(i) - 9, 13, "#c3cbe0",
                sheets[i].title);
    out += Picture(layout.Left(i), layout.Top(i), kScenePx,
                   std::min(height, kScenePx), PngUri(sheet), false);
  }
  return out + "</svg>\n";
}

}  // namespace ropewalk::lab::flow
