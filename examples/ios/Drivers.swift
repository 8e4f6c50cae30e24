// Who of a few drivers is it, if it is a live face of one of them? With the package native/swift.
//
//     let drivers = try Drivers(bundles: Bundle.main.resourcePath!)
//     drivers.known["ann"] = try drivers.enrol(frames)   // keep .encrypted(key:), by a key of the keychain
//     let name = try drivers.who(Picture(pixels: pixels, format: .bgra8, width: width, height: height, stride: stride))
//
// `edge-sdk slice NAME --format onnx --precision int8 --out NAME.edge` makes the bundles, and `edge-sdk inspect` shows the
// SHA-256 of a manifest: name it in Options, so that no other one is opened; or, for bundles that are updated apart from
// the app, the key that signs them: Options(publicKeys: [vendor]).

import EdgeSDK

final class Drivers {
    private let detector: SpoofDetector
    private let verifier: Verifier

    /// Whom to let drive.
    var known: [String: Template] = [:]

    init(bundles: String) throws {
        let finder = try Locator(bundle: bundles + "/face_locator.edge")
        detector = try SpoofDetector(
            bundle: bundles + "/liveness.edge", options: Options(operatingPoint: "apcer_5e-2"), locator: finder)
        verifier = try Verifier(
            bundle: bundles + "/face_lite.edge", options: Options(operatingPoint: "fmr_1e-3"), locator: finder)
    }

    /// A template of frames that each show one live face, nil if one does not.
    func enrol(_ frames: [Picture]) throws -> Template? {
        for frame in frames where try !detector.detect(frame).live { return nil }
        return try verifier.enroll(references: frames)
    }

    /// The name, or nil: nobody of them, or no live face. Ask of many frames in a row: one frame says little.
    func who(_ frame: Picture) throws -> String? {
        guard !known.isEmpty, try detector.detect(frame).live else { return nil }
        let people = Array(known)
        let gallery = try verifier.gallery(people.map(\.value))
        return try verifier.identify(gallery, probe: frame).person.map { people[$0].key }
    }
}
