#include "cli/completion.h"

#include <ropewalk/version.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::cli {
namespace {

// Calls use(path, command) for each command that does work: "run", "reproduce
// real".
template <typename Use>
void ForCommands(const CLI::App& app, const std::string& path, const Use& use) {
  for (const CLI::App* command : app.get_subcommands({})) {
    const std::string name =
        (path.empty() ? "" : path + " ") + command->get_name();
    use(name, *command);
    ForCommands(*command, name, use);
  }
}

// "-m" and "--model" of each option, and nothing of positional arguments.
std::vector<std::string> Spellings(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& name : option.get_snames()) {
    names.push_back("-" + name);
  }
  for (const std::string& name : option.get_lnames()) {
    names.push_back("--" + name);
  }
  return names;
}

std::string Replaced(std::string_view text, char what, std::string_view by) {
  std::string out;
  for (const char c : text) {
    if (c == what) {
      out += by;
    } else {
      out += c;
    }
  }
  return out;
}

std::string OneLine(const std::string& text) {
  return Replaced(text, '\n', " ");
}

// In single quotes for a shell.
std::string Quoted(std::string_view text) {
  return "'" + Replaced(text, '\'', "'\\''") + "'";
}

// The names of `parent`'s commands, joined by spaces.
std::string CommandNames(const CLI::App& parent) {
  std::string names;
  for (const CLI::App* command : parent.get_subcommands({})) {
    names += (names.empty() ? "" : " ") + command->get_name();
  }
  return names;
}

// Text for roff: no line may begin with a dot or an apostrophe.
std::string Roff(const std::string& text) {
  std::string out;
  bool begins = true;
  for (const char c : text) {
    if (begins && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    begins = c == '\n';
  }
  return out;
}

// Paragraphs as they are written, since they hold examples and tables.
std::string Literal(const std::string& text) {
  return text.empty() ? "" : ".PP\n.nf\n" + Roff(text) + "\n.fi\n";
}

std::string ManOptions(const CLI::App& command) {
  std::string page;
  for (const CLI::Option* option : command.get_options()) {
    std::string names;
    for (const std::string& name : Spellings(*option)) {
      names += (names.empty() ? "" : ", ") + name;
    }
    if (names.empty()) names = option->get_name(true);
    const std::string type = option->get_type_name();
    page += ".TP\n\\fB" + Roff(names) + "\\fR" +
            (type.empty() ? "" : " \\fI" + Roff(type) + "\\fR") + "\n" +
            Roff(option->get_description()) + "\n";
  }
  return page;
}

}  // namespace

std::string BashCompletion(const CLI::App& app) {
  std::string cases;
  ForCommands(app, "", [&](const std::string& path, const CLI::App& command) {
    std::string words = CommandNames(command);
    for (const CLI::Option* option : command.get_options()) {
      for (const std::string& name : Spellings(*option)) {
        words += (words.empty() ? "" : " ") + name;
      }
    }
    cases += "    " + Quoted(path) + ") words=" + Quoted(words) + " ;;\n";
  });
  return "# bash completion of ropewalk; read it with\n"
         "#   source <(ropewalk completion bash)\n"
         "_ropewalk() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} path= words word\n"
         "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
         "    case $word in\n"
         "      -*) break ;;\n"
         "      *) path=${path:+$path }$word ;;\n"
         "    esac\n"
         "  done\n"
         "  case $path in\n" +
         cases + "    '') words=" + Quoted(CommandNames(app)) +
         "\" --help --version\" ;;\n"
         "  esac\n"
         "  if [[ $current == -* || $path == '' ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "  else\n"
         "    COMPREPLY=($(compgen -W \"${words//--*/}\" -- \"$current\")\n"
         "               $(compgen -f -- \"$current\"))\n"
         "  fi\n"
         "}\n"
         "complete -o filenames -o bashdefault -F _ropewalk ropewalk\n";
}

std::string ZshCompletion(const CLI::App& app) {
  // In _describe a colon parts a name from what it does.
  const auto entry = [](const std::string& name, const std::string& what) {
    return "      " + Quoted(Replaced(name, ':', "\\:") + ":" + OneLine(what)) +
           "\n";
  };
  std::string commands;
  for (const CLI::App* command : app.get_subcommands({})) {
    commands += entry(command->get_name(), command->get_description());
  }
  std::string cases;
  ForCommands(app, "", [&](const std::string& path, const CLI::App& command) {
    std::string entries;
    for (const CLI::App* sub : command.get_subcommands({})) {
      entries += entry(sub->get_name(), sub->get_description());
    }
    for (const CLI::Option* option : command.get_options()) {
      for (const std::string& name : Spellings(*option)) {
        entries += entry(name, option->get_description());
      }
    }
    cases += "    " + Quoted(path) + ") entries=(\n" + entries + "    ) ;;\n";
  });
  return "#compdef ropewalk\n"
         "# zsh completion of ropewalk; put it into a folder of $fpath:\n"
         "#   ropewalk completion zsh > ~/.zfunc/_ropewalk\n"
         "_ropewalk() {\n"
         "  local -a entries\n"
         "  local path_= word\n"
         "  for word in ${words[2,CURRENT-1]}; do\n"
         "    [[ $word == -* ]] && break\n"
         "    path_=${path_:+$path_ }$word\n"
         "  done\n"
         "  case $path_ in\n"
         "    '') entries=(\n" +
         commands + "    ) ;;\n" + cases +
         "  esac\n"
         "  _describe ropewalk entries\n"
         "  [[ -n $path_ ]] && _files\n"
         "}\n"
         "_ropewalk \"$@\"\n";
}

std::string ManPage(const CLI::App& app) {
  std::string page =
      ".TH ROPEWALK 1 \"\" \"ropewalk " ROPEWALK_VERSION
      "\" \"User Commands\"\n"
      ".SH NAME\nropewalk \\- transformers that read far past the length they "
      "were trained on\n"
      ".SH SYNOPSIS\n\\fBropewalk\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n"
      ".SH DESCRIPTION\n" +
      Literal(app.get_description()) + ".SH COMMANDS\n";
  ForCommands(app, "", [&](const std::string& path, const CLI::App& command) {
    page += ".SS \"" + Roff("ropewalk " + path) + "\"\n" +
            Roff(command.get_description()) + "\n" + ManOptions(command) +
            Literal(command.get_footer());
  });
  return page + ".SH NOTES\n" + Literal(app.get_footer());
}

void AddCompletion(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "completion", "completion for bash or zsh, or the manual page");
  auto what = std::make_shared<std::string>();
  command->add_option("WHAT", *what, "bash, zsh or man")
      ->type_name("NAME")
      ->required();
  command->footer(
      "Examples:\n"
      "  source <(ropewalk completion bash)\n"
      "  ropewalk completion zsh > ~/.zfunc/_ropewalk\n"
      "  ropewalk completion man | man -l -");
  command->callback([&app, what] {
    std::string text;
    if (*what == "bash") {
      text = BashCompletion(app);
    } else if (*what == "zsh") {
      text = ZshCompletion(app);
    } else {
      Require(*what == "man", "WHAT must be bash, zsh or man, got '" +
                                  Printable(*what, 40) + "'");
      text = ManPage(app);
    }
    std::fwrite(text.data(), 1, text.size(), stdout);
  });
}

}  // namespace ropewalk::cli
