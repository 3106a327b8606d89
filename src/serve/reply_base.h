// What the replies of all endpoints have in common.

#ifndef ROPEWALK_SERVE_REPLY_BASE_H_
#define ROPEWALK_SERVE_REPLY_BASE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/reply.h"
#include "serve/tool_calls.h"

namespace ropewalk::serve {

// "ropewalk-" and the version.
std::string Fingerprint();

// "stop", "length" or "tool_calls".
std::string FinishReason(StopReason reason, bool has_calls);

// JSON has no infinity: what cannot be is -9999, as OpenAI writes it.
double FiniteLogProbability(double value);

// A frame of a stream; `event` may be empty.
std::string Frame(const Json& json, std::string_view event = {});

// Calls events by name and keeps the ends.
class ReplyBase : public Reply {
 public:
  std::string Take(const Event& event) final;

 protected:
  ReplyBase(const Request& request, ReplyHead head, TokenText text_of);

  virtual std::string TakeProgress(Json progress) = 0;
  virtual std::string TakePiece(size_t choice, const Piece& piece) = 0;
  virtual std::string TakeEnd(size_t choice, const End& end) = 0;
  virtual std::string TakeFailure(const Failure& failure);

  bool streams() const { return stream_; }
  bool wants_usage() const { return include_usage_; }
  bool has_log_probabilities() const { return most_likely_.has_value(); }
  bool has_failed() const { return failure_.has_value(); }
  size_t choices() const { return ends_.size(); }
  size_t choices_per_prompt() const { return per_prompt_; }
  const ReplyHead& head() const { return head_; }
  const std::optional<Failure>& failure() const { return failure_; }
  const std::optional<End>& end(size_t choice) const { return ends_[choice]; }
  std::string TextOf(Token token) const { return text_of_(token); }

  // Of all prompts, each counted once, and all answers.
  struct Counts {
    int64_t prompt = 0;
    int64_t cached = 0;
    int64_t generated = 0;
  };
  Counts Count() const;
  // As chats and completions write them.
  Json Usage() const;
  // The object "ropewalk".
  Json Extras(const End& end) const;
  // A token with its log probability, and the likeliest beside it, as chats and
  // responses write them.
  Json LogProbabilityOf(const Piece& piece) const;
  // Nothing where no call is looked for.
  std::optional<ToolCallFinder> MakeFinder() const;
  // Nine letters and digits, which the templates of Mistral insist on when
  // clients send them back.
  std::string CallId(size_t choice, size_t call) const;
  // False for a second one where the request wants one alone.
  bool MayCall(size_t calls) const { return parallel_calls_ || calls == 0; }

 private:
  Json TokenJson(Token token, double log_probability) const;

  ReplyHead head_;
  TokenText text_of_;
  bool stream_;
  bool include_usage_;
  bool return_progress_;
  bool parallel_calls_;
  size_t per_prompt_;
  std::optional<int64_t> most_likely_;
  std::set<std::string> tool_names_;
  std::vector<std::string> ignored_;
  std::vector<std::optional<End>> ends_;
  std::optional<Failure> failure_;
};

// The parts that `text` brings: itself, where no call is looked for.
std::vector<AnswerPart> PartsOf(std::optional<ToolCallFinder>& finder,
                                const std::string& text);
// The same for the last text of an answer.
std::vector<AnswerPart> LastPartsOf(std::optional<ToolCallFinder>& finder,
                                    const std::string& text);

std::unique_ptr<Reply> MakeChatReply(const Request& request, ReplyHead head,
                                     TokenText text_of);
std::unique_ptr<Reply> MakeCompletionReply(const Request& request,
                                           ReplyHead head, TokenText text_of,
                                           std::vector<std::string> prompts);
std::unique_ptr<Reply> MakeResponseReply(const Request& request, ReplyHead head,
                                         TokenText text_of);

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_REPLY_BASE_H_
