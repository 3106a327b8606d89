// Many texts in one pass: the weights are read once for all of them.
//
//   many MODEL.gguf 'The beginning of a story' [HOW_MANY]
//
// Reads the beginning once, forks the session, and lets every fork find an
// ending of its own.

#include <ropewalk/model.h>
#include <ropewalk/session.h>

#include <chrono>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace {

struct Story {
  ropewalk::Session session;
  ropewalk::Sampler sampler;
  std::vector<ropewalk::Token> ending;
};

void TellMany(const std::string& path, const std::string& text, int many) {
  constexpr int kTokens = 40;
  const auto model = ropewalk::Model::Load(path);
  const ropewalk::Tokenizer& tokenizer = model.tokenizer();
  ropewalk::Session beginning(model);
  beginning.Read(tokenizer.Encode(text));

  // Forks share the keys and values of the beginning.
  std::vector<Story> stories;
  for (int i = 0; i < many; ++i) {
    stories.push_back(
        {beginning.Fork(), {tokenizer, {.seed = uint64_t(i)}}, {}});
  }
  const auto begin = std::chrono::steady_clock::now();
  for (int step = 0; step < kTokens; ++step) {
    std::vector<ropewalk::Slice> slices;
    for (Story& story : stories) {
      story.ending.push_back(story.sampler.Sample(story.session.Logits()));
      slices.push_back({&story.session, {&story.ending.back(), 1}});
    }
    ropewalk::Read(slices);
  }
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - begin;
  for (const Story& story : stories) {
    std::cout << "--" << text << tokenizer.Decode(story.ending) << "\n";
  }
  std::cerr << many * kTokens / seconds.count() << " tokens a second\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: " << argv[0] << " MODEL.gguf TEXT [HOW_MANY]\n";
    return 2;
  }
  try {
    TellMany(argv[1], argv[2], argc > 3 ? std::stoi(argv[3]) : 8);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
