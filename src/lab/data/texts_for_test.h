// Texts that tokenizers get wrong, with the ids that SentencePiece's library
// (0.1.97) gives for them from the model of SmallModel().

#ifndef ROPEWALK_LAB_DATA_TEXTS_FOR_TEST_H_
#define ROPEWALK_LAB_DATA_TEXTS_FOR_TEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/token.h"
#include "lab/data/files_for_test.h"
#include "lab/data/train_tokenizer.h"

namespace ropewalk::lab::data {

inline std::string TrainOnText(const std::string& text,
                               const TokenizerTraining& options) {
  const TestFolder folder;
  return TrainTokenizer(Corpus({folder.Write("t.txt", text)}), options);
}

inline const std::string& SmallModel() {
  static const std::string model =
      TrainOnText(MadeUpText(400) + "Zwölf Boxkämpfer, 3.14 Uhr; 你好 世界 😀\n",
                  {.vocabulary = 600});
  return model;
}

inline const char* const kTexts[] = {
    "ropewalk the walking stone",
    " leading",
    "   three leading",
    "trailing   ",
    " ",
    "  ",
    "\n",
    "\n\n\n",
    " \n \n",
    "two  spaces   three",
    "line one\nline two\r\n\r\nline four",
    "tabs\tand\t\ttabs",
    "digits 0 12 345 6789 3.14159",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich",
    "你好 世界 再见",
    "😀 👩‍👩‍👧 e\xcc\x81",
    "x\xe2\x96\x81y \xe2\x96\x81 z",
    "<s> </s> <unk> <0x0A>",
    "(\"quotes\", 'marks'; [brackets]: -- dashes?!)",
    "\x01\x02\x7f",
    "the-the_the/the\\the",
};

inline const std::vector<std::vector<Token>> kIdsOfTexts = {
    {280, 263, 512, 277, 448, 327, 508, 506},
    {500, 502, 506, 503, 589, 260},
    {500, 500, 500, 265, 511, 506, 506, 500, 502, 506, 503, 589, 260},
    {501, 511, 503, 504, 502, 260, 500, 500, 500},
    {500},
    {500, 500},
    {13},
    {13, 13, 13},
    {500, 13, 500, 13},
    {501, 510, 505, 500, 500, 509, 515, 503, 588, 506, 509, 500, 500, 500, 265,
     511, 506, 506},
    {502, 259, 506, 275, 508, 506, 13,  502, 259, 506, 500, 501, 510,
     505, 16,  13,  16,  13,  502, 259, 506, 500, 517, 505, 592, 511},
    {501, 503, 587, 509, 12, 503, 508, 589, 12, 12, 501, 503, 587, 509},
    {589, 504, 507, 504, 501, 509, 500, 545, 500, 519, 546, 500, 520, 521,
     547, 500, 548, 549, 550, 551, 500, 520, 516, 519, 521, 519, 547, 551},
    {525, 510, 528, 502, 517, 500, 523, 505, 526, 512, 527, 514, 515,
     517, 506, 511, 500, 590, 503, 507, 506, 508, 500, 577, 504, 512,
     501, 505, 511, 500, 591, 592, 506, 511, 500, 198, 191, 587, 506,
     511, 500, 589, 506, 508, 500, 507, 264, 198, 162, 506, 508, 500,
     575, 594, 502, 501, 506, 511, 500, 560, 506, 504, 588, 513},
    {530, 531, 500, 529, 234, 152, 143, 500, 232, 137, 144, 235, 170, 132},
    {243, 162, 155, 131, 500, 243, 162, 148, 172, 229, 131, 144, 243, 162,
     148, 172, 229, 131, 144, 243, 162, 148, 170, 500, 506, 207, 132},
    {526, 500, 594, 500, 500, 500, 595},
    {553, 509, 555, 500, 553, 544, 509, 555, 500, 553, 592,
     508, 512, 555, 500, 553, 545, 526, 545, 558, 555},
    {539, 533, 591, 592, 505, 501, 506, 509, 533, 518, 500, 538, 514, 503, 511,
     512, 509, 538, 522, 500, 581, 587, 511, 503, 588, 512, 506, 501, 509, 583,
     552, 500, 543, 543, 500, 589, 503, 509, 513, 506, 509, 556, 532, 540},
    {4, 5, 130},
    {266, 543, 266, 585, 266, 544, 266, 582, 266},
};

// Of MadeUpText(300, 5): how many, and i = (31 i + id) mod 1000000007.
inline constexpr int64_t kLongTextIds = 4112;
inline constexpr int64_t kLongTextSum = 151490048;

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_TEXTS_FOR_TEST_H_
