// Read a text of any length and write on.
//
//   generate MODEL.gguf 'Once upon a time' [SCHEME]
//
//   c++ -std=c++20 generate.cc $(pkg-config --cflags --libs ropewalk)

#include <ropewalk/model.h>
#include <ropewalk/session.h>

#include <algorithm>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace {

void WriteOn(const std::string& path, const std::string& text,
             const std::string& scheme) {
  constexpr int64_t kAnswer = 200;
  const auto model = ropewalk::Model::Load(path);
  const std::vector<ropewalk::Token> prompt = model.tokenizer().Encode(text);

  // Room for the prompt and the answer. A scheme that is not given is chosen
  // by the length: the model's own as far as that carries, ReRoPE beyond.
  const auto needed = static_cast<int64_t>(prompt.size()) + kAnswer;
  ropewalk::Session session(
      model, {.context_length = std::max(needed, model.train_length()),
              .scheme = ropewalk::Scheme::Parse(scheme)});
  std::cerr << model.name() << ", trained to " << model.train_length()
            << "; scheme " << session.scheme().ToString() << "\n";

  session.Read(prompt, [](int64_t read, int64_t all) {
    std::cerr << "read " << read << " of " << all << " tokens\n";
    return true;
  });
  std::cout << text;
  const ropewalk::GenerateResult result = session.Generate(
      {.max_tokens = kAnswer, .sampling = {.temperature = 0.7, .seed = 1}},
      [](const ropewalk::GeneratedToken& token) {
        std::cout << token.text << std::flush;
        return true;
      });
  std::cout << "\n";
  std::cerr << result.tokens << " tokens in " << result.seconds << " s\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: " << argv[0] << " MODEL.gguf TEXT [SCHEME]\n";
    return 2;
  }
  try {
    WriteOn(argv[1], argv[2], argc > 3 ? argv[3] : "auto");
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
