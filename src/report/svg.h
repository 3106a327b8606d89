// Drawing on an SVG canvas: the few shapes that our plots are made of.
//
// Colours are CSS classes that set `color`, and shapes use currentColor: that
// works where CSS variables do not (librsvg, Inkscape), and lets one media
// query turn the whole picture dark.

#ifndef ROPEWALK_REPORT_SVG_H_
#define ROPEWALK_REPORT_SVG_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::report {

struct Pixel {
  double x = 0;
  double y = 0;
};

struct Box {
  double left, top, right, bottom;
};

// How the i-th series looks: colour, marker and dashes together tell 24
// series apart, each of the three alone helps those who miss the others.
struct Look {
  int64_t index = 0;
  bool dashed = false;
};

inline constexpr double kFontPx = 12;

// A coordinate: at most two decimals, always finite.
std::string Px(double value);

// Text is escaped here, classes are ours. One thread at a time.
class Canvas {
 public:
  // A document of this size with a title for screen readers.
  Canvas(double width, double height, std::string_view title);

  // Attributes `style` are classes of the style sheet in svg.cc.
  void Line(Pixel from, Pixel to, std::string_view style);
  void Rect(const Box& box, std::string_view style);
  void Fill(const Box& box, std::string_view rgb);
  void Text(Pixel at, std::string_view text, std::string_view style);

  // Pieces of one line; each is a list of at least one point.
  void Path(const std::vector<std::vector<Pixel>>& pieces, const Look& look,
            std::string_view style);

  void Dot(Pixel at, const Look& look, double radius);
  void ArrowUp(Pixel tip, const Look& look);
  void ArrowDown(Pixel tip, const Look& look);

  // Everything until EndGroup shows `tip` when the mouse is over it.
  void BeginGroup(std::string_view tip, std::string_view style = {});
  void EndGroup();

  // The finished document.
  std::string Finish() const;

 private:
  std::string out_;
};

// The part of a segment inside `box`; false when there is none.
bool ClipSegment(const Box& box, Pixel* from, Pixel* to);

}  // namespace ropewalk::report

#endif  // ROPEWALK_REPORT_SVG_H_
