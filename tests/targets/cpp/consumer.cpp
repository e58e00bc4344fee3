// What a project of somebody else's does with the installed library: consumer MODEL PICTURE
#include <fastscnn/network.hpp>
#include <fastscnn/postprocess.hpp>

#include <cstdio>

int main(int, char** argv) {
  try {
    fastscnn::Network network(argv[1]);
    const fastscnn::Picture picture = fastscnn::read_picture(argv[2]);
    const auto labels = network.segment(picture, fastscnn::Fit::kLetterbox);
    std::fwrite(labels.data(), 1, labels.size(), stdout);
    return 0;
  } catch (const fastscnn::Failure& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
