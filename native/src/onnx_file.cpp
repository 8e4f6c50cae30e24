#include "onnx_file.hpp"

#include <algorithm>
#include <initializer_list>

#include "error.hpp"

namespace edge {

namespace {

constexpr int kMaxDepth = 100;       // protobuf's own limit
constexpr int kMaxFields = 1 << 20;  // more than networks of 50,000 nodes have
constexpr std::uint64_t kExternalData = 13, kDataLocation = 14;  // fields of a tensor

enum class Message { none, model, training, function, graph, node, attribute, sparse, tensor };

// What a field of a message holds, by its number in onnx.proto; none for what cannot lead to a tensor.
Message inside(Message kind, std::uint64_t field) {
    using M = Message;
    const auto one_of = [field](std::initializer_list<std::uint64_t> numbers) {
        return std::find(numbers.begin(), numbers.end(), field) != numbers.end();
    };
    switch (kind) {
        case M::model: return field == 7 ? M::graph : field == 20 ? M::training : field == 25 ? M::function : M::none;
        case M::training: return one_of({1, 2}) ? M::graph : M::none;
        case M::function: return field == 7 ? M::node : field == 11 ? M::attribute : M::none;
        case M::graph: return field == 1 ? M::node : field == 5 ? M::tensor : field == 15 ? M::sparse : M::none;
        case M::node: return field == 5 ? M::attribute : M::none;
        case M::attribute:
            return one_of({5, 10}) ? M::tensor : one_of({6, 11}) ? M::graph : one_of({22, 23}) ? M::sparse : M::none;
        case M::sparse: return one_of({1, 2}) ? M::tensor : M::none;
        default: return M::none;
    }
}

class Reader {
  public:
    explicit Reader(const Bytes& data) : data_(data) {}

    void message(Message kind, std::size_t at, std::size_t end, int depth) {
        require(depth <= kMaxDepth, "too many messages lie in each other");
        while (at < end) {
            require(left_-- > 0, "too many fields");
            const std::uint64_t tag = varint(at, end), field = tag >> 3, wire = tag & 7;
            std::uint64_t size = 0, value = 0;
            switch (wire) {
                case 0: value = varint(at, end); break;
                case 1: size = 8; break;
                case 2: size = varint(at, end); break;
                case 5: size = 4; break;
                default: require(false, "a field of an unknown type");
            }
            require(size <= end - at, "a field leads out of its message");
            if (kind == Message::tensor && (field == kExternalData || (field == kDataLocation && (wire || value))))
                throw Error(EDGE_ERROR_ENGINE, "weights of the model lie in another file, which no SHA-256 covers");
            if (const Message held = inside(kind, field); wire == 2 && held != Message::none)
                message(held, at, at + size, depth + 1);
            at += size;
        }
    }

  private:
    static void require(bool fine, const char* what) {
        if (!fine) throw Error(EDGE_ERROR_ENGINE, std::string("this is no ONNX model, or a damaged one: ") + what);
    }

    std::uint64_t varint(std::size_t& at, std::size_t end) const {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 70; shift += 7) {
            require(at < end, "it is cut off");
            const std::uint8_t byte = data_[at++];
            if (shift < 64) value |= static_cast<std::uint64_t>(byte & 127) << shift;
            if (byte < 128) return value;
        }
        require(false, "a number is too long");
        return 0;
    }

    const Bytes& data_;
    int left_ = kMaxFields;
};

}  // namespace

void require_weights_inside(const Bytes& model) { Reader(model).message(Message::model, 0, model.size(), 0); }

}  // namespace edge
