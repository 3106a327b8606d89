#include "report/svg.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "report/markup.h"

namespace ropewalk::report {
namespace {

// c0..c7 are the colour-blind-safe colours of Okabe and Ito, darkened on white
// and lightened on black until thin lines have a contrast of about 3:1. c8..c11
// differ in hue from the colours that have their marker, and are dashed.
constexpr std::string_view kStyle = R"(
.rw{font:12px system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif}
.rw .bg{fill:#fff}
.rw text{fill:#1f2328}
.rw .title{font-size:16px;font-weight:600}
.rw .head{font-weight:600}
.rw .soft{fill:#59636e}
.rw .end{text-anchor:end}
.rw .mid{text-anchor:middle}
.rw .num{font-variant-numeric:tabular-nums}
.rw .on-dark{fill:#fff}
.rw .on-light{fill:#1f2328}
.rw .grid{stroke:#d8dee4;stroke-width:1}
.rw .frame{stroke:#8c959f;stroke-width:1}
.rw .mark{stroke:#59636e;stroke-width:1.2;stroke-dasharray:4 3}
.rw .shade{fill:#818b98;fill-opacity:.11}
.rw .band{fill:#0969da;fill-opacity:.13}
.rw .none{fill:#818b98;fill-opacity:.16}
.rw .line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}
.rw .thick{stroke-width:3.4}
.rw .thin{stroke-width:1.3}
.rw .away{stroke-width:1.3;stroke-dasharray:1 3}
.rw .lead{stroke:#8c959f;stroke-width:1}
.rw .tip{fill-opacity:0}
.rw .dot{fill:currentColor;stroke:#fff;stroke-width:1}
.rw .cross{fill:none;stroke:currentColor;stroke-width:2.2}
.rw .faint{opacity:.55}
.rw .back{opacity:.3}
.rw .c0{color:#0067b0}
.rw .c1{color:#cc5500}
.rw .c2{color:#008a63}
.rw .c3{color:#b44a98}
.rw .c4{color:#b07d00}
.rw .c5{color:#1f97d4}
.rw .c6{color:#7a5ccb}
.rw .c7{color:#66707a}
.rw .c8{color:#00808a}
.rw .c9{color:#d6246e}
.rw .c10{color:#4d6b00}
.rw .c11{color:#7a1f1f}
@media (prefers-color-scheme:dark){
.rw .bg{fill:#0d1117}
.rw text{fill:#e6edf3}
.rw .soft{fill:#9198a1}
.rw .on-dark{fill:#fff}
.rw .on-light{fill:#1f2328}
.rw .grid{stroke:#2a313a}
.rw .frame,.rw .lead{stroke:#656c76}
.rw .mark{stroke:#9198a1}
.rw .band{fill:#4493f8;fill-opacity:.2}
.rw .dot{stroke:#0d1117}
.rw .c0{color:#58a6f5}
.rw .c1{color:#ff8f45}
.rw .c2{color:#2fc79b}
.rw .c3{color:#e58cc9}
.rw .c4{color:#e3b53c}
.rw .c5{color:#8ad4ff}
.rw .c6{color:#b4a1ff}
.rw .c7{color:#aab2bb}
.rw .c8{color:#45c9cf}
.rw .c9{color:#ff6fa5}
.rw .c10{color:#b5d94c}
.rw .c11{color:#ffbfae}
}
)";

constexpr int64_t kColours = 12;
constexpr int64_t kShapes = 7;  // coprime to kColours: 84 combinations

// Series 0..7 are solid, 8..15 dashed, 16..23 dash-dotted.
constexpr int64_t kAlike = 8;
constexpr std::array<std::string_view, 3> kDashes = {"", "7 3", "8 3 2 3"};

std::string_view DashesOf(const Look& look) {
  if (look.solid) return "";
  if (look.dashed) return "2 3";
  return kDashes[static_cast<size_t>(look.index / kAlike) % kDashes.size()];
}

std::string ColourOf(const Look& look) {
  return "c" + std::to_string(look.index % kColours);
}

}  // namespace

std::string Px(double value) {
  if (!std::isfinite(value)) value = 0;
  value = std::clamp(value, -1e6, 1e6);
  std::array<char, 32> text{};
  const auto [end, error] = std::to_chars(
      text.data(), text.data() + text.size(),
      std::round(value * 100) / 100 + 0.0, std::chars_format::fixed, 2);
  std::string out(text.data(), end);
  out.erase(out.find_last_not_of('0') + 1);
  if (out.ends_with('.')) out.pop_back();
  return out;
}

Canvas::Canvas(double width, double height, std::string_view title) {
  out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"rw\" width=\"" +
         Px(width) + "\" height=\"" + Px(height) + "\" viewBox=\"0 0 " +
         Px(width) + " " + Px(height) + "\" role=\"img\" aria-label=\"" +
         EscapeXml(title) + "\">\n<style>" + std::string(kStyle) + "</style>\n";
  Rect({0, 0, width, height}, "bg");
}

void Canvas::Line(Pixel from, Pixel to, std::string_view style) {
  out_ += "<line class=\"" + std::string(style) + "\" x1=\"" + Px(from.x) +
          "\" y1=\"" + Px(from.y) + "\" x2=\"" + Px(to.x) + "\" y2=\"" +
          Px(to.y) + "\"/>\n";
}

void Canvas::Rect(const Box& box, std::string_view style) {
  out_ += "<rect class=\"" + std::string(style) + "\" x=\"" + Px(box.left) +
          "\" y=\"" + Px(box.top) + "\" width=\"" +
          Px(std::max(0.0, box.right - box.left)) + "\" height=\"" +
          Px(std::max(0.0, box.bottom - box.top)) + "\"/>\n";
}

void Canvas::Fill(const Box& box, std::string_view rgb) {
  out_ += "<rect fill=\"" + std::string(rgb) + "\" x=\"" + Px(box.left) +
          "\" y=\"" + Px(box.top) + "\" width=\"" + Px(box.right - box.left) +
          "\" height=\"" + Px(box.bottom - box.top) + "\"/>\n";
}

void Canvas::Fill(const std::vector<Box>& boxes, std::string_view rgb) {
  if (boxes.empty()) return;
  out_ += "<path fill=\"" + std::string(rgb) + "\" d=\"";
  for (const Box& box : boxes) {
    const std::string width = Px(box.right - box.left);
    out_ += "M" + Px(box.left) + " " + Px(box.top) + "h" + width + "v" +
            Px(box.bottom - box.top) + "h-" + width + "z";
  }
  out_ += "\"/>\n";
}

void Canvas::Text(Pixel at, std::string_view text, std::string_view style) {
  if (text.empty()) return;
  out_ += "<text class=\"" + std::string(style) + "\" x=\"" + Px(at.x) +
          "\" y=\"" + Px(at.y) + "\">" + EscapeXml(text) + "</text>\n";
}

void Canvas::Path(const std::vector<std::vector<Pixel>>& pieces,
                  const Look& look, std::string_view style) {
  std::string d;
  for (const std::vector<Pixel>& piece : pieces) {
    for (size_t i = 0; i < piece.size(); ++i) {
      d += (i == 0 ? "M" : "L") + Px(piece[i].x) + " " + Px(piece[i].y);
    }
  }
  if (d.empty()) return;
  out_ +=
      "<path class=\"line " + ColourOf(look) + " " + std::string(style) + "\"";
  const std::string_view dashes = DashesOf(look);
  if (!dashes.empty() && style.find("away") == std::string_view::npos) {
    out_ += " stroke-dasharray=\"" + std::string(dashes) + "\"";
  }
  out_ += " d=\"" + d + "\"/>\n";
}

void Canvas::Dot(Pixel at, const Look& look, double radius) {
  const auto polygon = [&](const std::vector<Pixel>& corners) {
    std::string points;
    for (const Pixel& c : corners) {
      if (!points.empty()) points += " ";
      points += Px(at.x + c.x * radius) + "," + Px(at.y + c.y * radius);
    }
    out_ += "<polygon class=\"dot " + ColourOf(look) + "\" points=\"" + points +
            "\"/>\n";
  };
  const auto cross = [&](std::string_view d) {
    out_ += "<path class=\"cross " + ColourOf(look) +
            "\" transform=\"translate(" + Px(at.x) + " " + Px(at.y) +
            ") scale(" + Px(radius / 4) + ")\" d=\"" + std::string(d) +
            "\"/>\n";
  };
  switch (look.index % kShapes) {
    case 0:
      out_ += "<circle class=\"dot " + ColourOf(look) + "\" cx=\"" + Px(at.x) +
              "\" cy=\"" + Px(at.y) + "\" r=\"" + Px(radius) + "\"/>\n";
      break;
    case 1:
      polygon({{-.9, -.9}, {.9, -.9}, {.9, .9}, {-.9, .9}});
      break;
    case 2:
      polygon({{0, -1.25}, {1.15, .8}, {-1.15, .8}});
      break;
    case 3:
      polygon({{0, -1.3}, {1.3, 0}, {0, 1.3}, {-1.3, 0}});
      break;
    case 4:
      polygon({{0, 1.25}, {1.15, -.8}, {-1.15, -.8}});
      break;
    case 5:
      cross("M-3.6-3.6L3.6 3.6M-3.6 3.6L3.6-3.6");
      break;
    default:
      cross("M-4.6 0H4.6M0-4.6V4.6");
  }
}

void Canvas::ArrowUp(Pixel tip, const Look& look) {
  out_ += "<path class=\"dot " + ColourOf(look) + "\" d=\"M" + Px(tip.x) + " " +
          Px(tip.y) + "l5 8h-3.2v6h-3.6v-6h-3.2z\"/>\n";
}

void Canvas::ArrowDown(Pixel tip, const Look& look) {
  out_ += "<path class=\"dot " + ColourOf(look) + "\" d=\"M" + Px(tip.x) + " " +
          Px(tip.y) + "l5-8h-3.2v-6h-3.6v6h-3.2z\"/>\n";
}

void Canvas::BeginGroup(std::string_view tip, std::string_view style) {
  out_ += "<g";
  if (!style.empty()) out_ += " class=\"" + std::string(style) + "\"";
  out_ += ">";
  if (!tip.empty()) out_ += "<title>" + EscapeXml(tip) + "</title>";
  out_ += "\n";
}

void Canvas::EndGroup() { out_ += "</g>\n"; }

std::string Canvas::Finish() const { return out_ + "</svg>\n"; }

// The algorithm of Liang and Barsky: each border cuts [enter, leave] from one
// side. Rounding makes it inexact for a segment 1e30 pixels long, so segments
// that are clearly outside are dropped first, and the result is clamped to the
// box.
bool ClipSegment(const Box& box, Pixel* from, Pixel* to) {
  if (std::max(from->x, to->x) < box.left ||
      std::min(from->x, to->x) > box.right ||
      std::max(from->y, to->y) < box.top ||
      std::min(from->y, to->y) > box.bottom) {
    return false;
  }
  const double dx = to->x - from->x;
  const double dy = to->y - from->y;
  double enter = 0;
  double leave = 1;
  const auto cut = [&enter, &leave](double slope, double room) {
    if (slope == 0) return room >= 0;
    if (slope < 0) {
      enter = std::max(enter, room / slope);
    } else {
      leave = std::min(leave, room / slope);
    }
    return enter <= leave;
  };
  if (!cut(-dx, from->x - box.left) || !cut(dx, box.right - from->x) ||
      !cut(-dy, from->y - box.top) || !cut(dy, box.bottom - from->y)) {
    return false;
  }
  const auto held = [&box](double x, double y) -> Pixel {
    return {std::clamp(x, box.left, box.right),
            std::clamp(y, box.top, box.bottom)};
  };
  const Pixel start = *from;
  if (enter > 0) *from = held(start.x + enter * dx, start.y + enter * dy);
  *to = leave < 1 ? held(start.x + leave * dx, start.y + leave * dy)
                  : held(to->x, to->y);
  return true;
}

}  // namespace ropewalk::report
