#pragma once
// The subcommands of `lockstep`.

#include <string>

namespace lockstep::launch {

/// `lockstep ops`: the op table as a list, one op in full, or a Markdown page. Throws NotFoundError for an unknown op.
void list_ops(const std::string& name, bool markdown);

}  // namespace lockstep::launch
