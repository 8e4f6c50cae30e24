// What the library throws inside; edge_sdk.cpp turns it into a status and a text, and lets nothing else out.

#pragma once

#include <stdexcept>
#include <string>

#include "edge_sdk.h"

namespace edge {

class Error : public std::runtime_error {
  public:
    Error(edge_status status, const std::string& what) : std::runtime_error(what), status_(status) {}

    edge_status status() const { return status_; }

  private:
    edge_status status_;
};

}  // namespace edge
