#pragma once

#include <stdexcept>

namespace fastscnn {

// One line for the person: what was expected, what came, what to do.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace fastscnn
