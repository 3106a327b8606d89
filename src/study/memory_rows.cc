#include "study/memory_rows.h"

#include <filesystem>
#include <utility>

namespace ropewalk::study {

std::vector<report::Column> MemoryRow::Columns() {
  return {{.name = "run"},
          {.name = "document"},
          {.name = "setting"},
          {.name = "condition"},
          {.name = "law"},
          {.name = "goes_on_loss"},
          {.name = "goes_on_accuracy"},
          {.name = "repeats_loss"},
          {.name = "repeats_accuracy"}};
}

MemoryRow MemoryRow::From(Cells& cells) {
  MemoryRow row;
  row.run = cells.Integer();
  row.document = cells.Text();
  row.setting = cells.Text();
  row.condition = cells.Text();
  row.law = cells.Text();
  row.goes_on_loss = cells.Real();
  row.goes_on_accuracy = cells.Real();
  row.repeats_loss = cells.Real();
  row.repeats_accuracy = cells.Real();
  return row;
}

std::vector<report::Cell> MemoryRow::ToCells() const {
  return {run,
          document,
          setting,
          condition,
          law,
          Rounded(goes_on_loss),
          Rounded(goes_on_accuracy),
          Rounded(repeats_loss),
          Rounded(repeats_accuracy)};
}

bool MemoryRow::Same(const MemoryRow& other) const {
  return document == other.document && setting == other.setting &&
         condition == other.condition;
}

const MemoryRow* MemoryRows::Find(const std::string& document,
                                  const std::string& setting,
                                  const std::string& condition) const {
  return FindSame(
      {.document = document, .setting = setting, .condition = condition});
}

std::vector<report::Column> NeedleRow::Columns() {
  return {{.name = "run"},           {.name = "setting"},
          {.name = "condition"},     {.name = "law"},
          {.name = "found"},         {.name = "digits"},
          {.name = "loss"},          {.name = "read"},
          {.name = "first_seconds"}, {.name = "token_seconds"}};
}

NeedleRow NeedleRow::From(Cells& cells) {
  NeedleRow row;
  row.run = cells.Integer();
  row.setting = cells.Text();
  row.condition = cells.Text();
  row.law = cells.Text();
  row.found = cells.Marks();
  row.digits = cells.Real();
  row.loss = cells.Real();
  row.read = cells.Real();
  row.first_seconds = cells.Real();
  row.token_seconds = cells.Real();
  return row;
}

std::vector<report::Cell> NeedleRow::ToCells() const {
  return {run,
          setting,
          condition,
          law,
          found,
          Rounded(digits),
          Rounded(loss),
          Rounded(read),
          Rounded(first_seconds),
          Rounded(token_seconds)};
}

bool NeedleRow::Same(const NeedleRow& other) const {
  return setting == other.setting && condition == other.condition;
}

std::vector<PeerRow> ReadPeerRows(const std::string& folder) {
  const std::string path =
      (std::filesystem::path(folder) / "peers.csv").string();
  const report::CsvFile file =
      ReadCsv(path, report::Table({{.name = "program"},
                                   {.name = "setting"},
                                   {.name = "condition"},
                                   {.name = "found"},
                                   {.name = "read"},
                                   {.name = "first_seconds"}}));
  std::vector<PeerRow> rows;
  for (size_t i = 0; i < file.rows.size(); ++i) {
    Cells cells(file.rows[i], path, i);
    PeerRow row;
    row.program = cells.Text();
    row.setting = cells.Text();
    row.condition = cells.Text();
    row.found = cells.Marks();
    row.read = cells.Real();
    row.first_seconds = cells.Real();
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<report::Column> SpeedRow::Columns() {
  return {{.name = "run"},         {.name = "tokens"},
          {.name = "text_read"},   {.name = "memory_read"},
          {.name = "text_first"},  {.name = "memory_first"},
          {.name = "text_decode"}, {.name = "memory_decode"},
          {.name = "ratio"},       {.name = "text_bytes"},
          {.name = "memory_bytes"}};
}

SpeedRow SpeedRow::From(Cells& cells) {
  SpeedRow row;
  row.run = cells.Integer();
  row.tokens = cells.Integer();
  row.text_read = cells.Real();
  row.memory_read = cells.Real();
  row.text_first = cells.Real();
  row.memory_first = cells.Real();
  row.text_decode = cells.Real();
  row.memory_decode = cells.Real();
  row.ratio = cells.Real();
  row.text_bytes = cells.Integer();
  row.memory_bytes = cells.Integer();
  return row;
}

std::vector<report::Cell> SpeedRow::ToCells() const {
  return {run,
          tokens,
          Rounded(text_read),
          Rounded(memory_read),
          Rounded(text_first),
          Rounded(memory_first),
          Rounded(text_decode),
          Rounded(memory_decode),
          Rounded(ratio),
          text_bytes,
          memory_bytes};
}

bool SpeedRow::Same(const SpeedRow& other) const {
  return tokens == other.tokens;
}

}  // namespace ropewalk::study
