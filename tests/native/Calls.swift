// What tests/native/test_swift.py asks of the Swift package; one line an answer.

import EdgeSDK

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

func load(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "rb") else { return [] }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    return Array(bytes[..<fread(&bytes, 1, bytes.count, file)])
}

struct NotVerified: Error {}

func failure(_ action: () throws -> Void) -> String {
    do {
        try action()
        return "nothing"
    } catch {
        return "\(error)".split(separator: ":").first.map(String.init) ?? ""
    }
}

@main
struct Calls {
    static func main() throws {
        let given = CommandLine.arguments
        let (bundles, own, other) = (given[1], Picture(encoded: load(given[2])), Picture(encoded: load(given[3])))
        let frame = Picture(encoded: load(given[4]))
        let path = bundles + "/deepsign.edge"

        let verifier = try Verifier(bundle: path, options: Options(operatingPoint: "fmr_1e-2"))
        try verifier.selftest()
        print("score", try verifier.verify(references: [own], query: other).score)
        print("accepted", try verifier.verify(references: [own], query: own).accepted)
        let blank = Picture(pixels: [UInt8](repeating: 255, count: 80 * 80), format: .gray8, width: 80, height: 80)
        let rejected = try verifier.verify(references: [own], query: blank)
        print("blank", rejected.accepted, rejected.blocking.first ?? "")
        let enrolled = try Template(bytes: try verifier.enroll(references: [own]).bytes())
        print("template", try verifier.verify(enrolled, query: other).score)
        print("id", enrolled.id.count)
        let two = try verifier.enroll(references: [own, other])
        let gallery = try verifier.gallery([two, enrolled])
        print("person", try verifier.identify(gallery, probe: own).person ?? -1)

        print("point", failure { _ = try Verifier(bundle: path, options: Options(operatingPoint: "none")) })
        print("pin", failure { _ = try Verifier(bundle: path, options: Options(manifestSHA256: "0")) })
        let texts = Options(publicKeys: ["no key"], minimumVersion: "1.0.0")
        print("key", failure { _ = try Verifier(bundle: path, options: texts) } != "nothing")
        print("nokeys", failure { _ = try Verifier(bundle: path, options: Options(publicKeys: [])) })
        print("old", failure { _ = try Verifier(bundle: path, options: Options(minimumVersion: "99.0.0")) })
        for (name, value) in [("nul", "fp32.onnx\0x"), ("nulend", "fp32.onnx\0"), ("empty", "")] {
            print(name, failure { _ = try Verifier(bundle: path, options: Options(variant: value)) })
        }
        print("nulpath", failure { _ = try Verifier(bundle: path + "\0x") })
        print("nulkey", failure { _ = try Verifier(bundle: path, options: Options(publicKeys: ["\0"])) })
        print("task", failure { _ = try SpoofDetector(bundle: path) })
        print("unusable", failure { _ = try verifier.enroll(references: [blank]) })
        print("damaged", failure { _ = try Template(bytes: [1, 2, 3]) })
        let secret = [UInt8](0..<32)
        let sealed = try? enrolled.encrypted(key: secret)  // nil without OpenSSL
        print("encrypted", try sealed.map { try Template(encrypted: $0, key: secret).id == enrolled.id } ?? true)
        let stranger = sealed.map { data in failure { _ = try Template(encrypted: data, key: [UInt8](1...32)) } }
        print("stranger", stranger ?? "EDGE_ERROR_TEMPLATE_KEY")
        print("none", failure { _ = try verifier.verify(references: [], query: own) })

        let key = String(decoding: load(given[6]), as: UTF8.self)
        var asked: [Int] = []
        func opened(_ check: SignatureCheck?, _ keys: [String]?) -> String {
            failure { _ = try Verifier(bundle: given[5], options: Options(publicKeys: keys, verifyEd25519: check)) }
        }
        let right: SignatureCheck = { key, signature, message in
            asked += [key.count, signature.count, message.count]
            return true
        }
        print("right", opened(right, [key]), asked)
        print("wrong", opened({ _, _, _ in false }, [key]))
        print("throws", opened({ _, _, _ in throw NotVerified() }, [key]))
        print("useless", opened(right, nil))

        let drivers = try Drivers(bundles: bundles)
        print("drivers", try drivers.enrol([frame]) == nil, try drivers.who(frame) == nil)
    }
}
