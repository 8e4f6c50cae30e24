// edge_sdk.h for Swift: handles that free themselves, and errors in place of statuses. edge_sdk.h says what all means.
//
//     let verifier = try Verifier(bundle: path, options: Options(manifestSHA256: "...", operatingPoint: "fmr_1e-2"))
//     let result = try verifier.verify(references: [Picture(encoded: reference)], query: Picture(encoded: query))
//     if result.accepted { unlock() }

import CEdgeSDK

#if canImport(CryptoKit)
    import CryptoKit
#endif

/// Why a call failed. Everything that fails throws this: no failure can be read as an acceptance.
public struct EdgeError: Error, CustomStringConvertible {
    /// One of `EDGE_ERROR_USAGE` and its like.
    public let status: Int32
    public let message: String

    public var description: String { "\(String(cString: edge_status_name(status))): \(message)" }
}

private func check(_ status: edge_status) throws {
    if status != 0 { throw EdgeError(status: status, message: String(cString: edge_last_error())) }
}

/// The names of quality flags, as docs/preprocessing.md explains them.
private func names(_ flags: UInt64) -> [String] {
    (0..<64).map { UInt64(1) << $0 }.filter { flags & $0 != 0 }
        .map { edge_flag_name($0).map { String(cString: $0) } ?? "unknown" }
}

// MARK: pictures

/// The numbers are those of edge_sdk.h.
public enum PixelFormat: Int32 {
    case gray8 = 1, bgr8, rgb8, bgra8, rgba8
}

/// A picture file or pixels, copied.
public final class Picture: @unchecked Sendable {
    private let bytes: UnsafeMutableBufferPointer<UInt8>
    private let format: Int32
    private let width: Int32
    private let height: Int32
    private let stride: Int

    /// The bytes of a PNG or baseline JPEG file.
    public convenience init<Bytes: Collection>(encoded file: Bytes) where Bytes.Element == UInt8 {
        self.init(copy: file, format: 0, width: 0, height: 0, stride: 0)
    }

    /// Rows of pixels from the top; `stride`: bytes from one row to the next, 0 without gaps.
    public convenience init<Bytes: Collection>(
        pixels: Bytes, format: PixelFormat, width: Int32, height: Int32, stride: Int = 0
    ) where Bytes.Element == UInt8 {
        self.init(copy: pixels, format: format.rawValue, width: width, height: height, stride: stride)
    }

    private init<Bytes: Collection>(copy: Bytes, format: Int32, width: Int32, height: Int32, stride: Int)
    where Bytes.Element == UInt8 {
        bytes = .allocate(capacity: copy.count)
        _ = bytes.initialize(from: copy)
        (self.format, self.width, self.height, self.stride) = (format, width, height, stride)
    }

    deinit { bytes.deallocate() }

    fileprivate var image: edge_image {
        edge_image(
            struct_size: UInt32(MemoryLayout<edge_image>.size), format: format, data: UnsafePointer(bytes.baseAddress),
            length: bytes.count, width: width, height: height, stride: stride)
    }
}

private func withImage<Result>(_ picture: Picture, _ body: (UnsafePointer<edge_image>) throws -> Result) rethrows
    -> Result
{
    try withExtendedLifetime(picture) { try withUnsafePointer(to: picture.image, body) }
}

private func withImages<Result>(
    _ pictures: [Picture], _ body: (UnsafePointer<UnsafePointer<edge_image>?>?, Int) throws -> Result
) rethrows -> Result {
    try withExtendedLifetime(pictures) {
        try pictures.map(\.image).withUnsafeBufferPointer { images in
            let pointers: [UnsafePointer<edge_image>?] = images.indices.map { images.baseAddress?.advanced(by: $0) }
            return try pointers.withUnsafeBufferPointer { try body($0.baseAddress, $0.count) }
        }
    }
}

// MARK: results

/// `accepted` if and only if no flag blocks and `score >= threshold`.
public struct Verification: Sendable {
    public let accepted: Bool
    public let score, rawScore, threshold: Double
    public let flags, blocking: [String]
    /// With how many the threshold was measured; 0 for a threshold of one's own.
    public let references: Int

    fileprivate init(_ result: edge_verification) {
        accepted = result.accepted != 0
        (score, rawScore, threshold) = (result.score, result.raw_score, result.threshold)
        (flags, blocking) = (names(result.flags), names(result.blocking))
        references = Int(result.references)
    }
}

/// `person` is the place of the template in the gallery, nil if the probe shows nobody of it.
public struct Identification: Sendable {
    public let person: Int?
    public let score, rawScore, threshold: Double
    public let flags, blocking: [String]

    fileprivate init(_ result: edge_identification) {
        person = result.identified != 0 ? result.person : nil
        (score, rawScore, threshold) = (result.score, result.raw_score, result.threshold)
        (flags, blocking) = (names(result.flags), names(result.blocking))
    }
}

/// The numbers are those of edge_sdk.h.
public enum Decision: Int32, Sendable {
    case uncertain = 0, live, spoof, noFace
}

/// `live` alone is live; `flags` say why a picture was unfit to be judged.
public struct Liveness: Sendable {
    public let decision: Decision
    public let score, threshold: Double
    public let flags: [String]
    public var live: Bool { decision == .live }

    fileprivate init(_ result: edge_liveness) {
        decision = Decision(rawValue: result.decision) ?? .uncertain
        (score, threshold) = (result.score, result.threshold)
        flags = names(result.flags)
    }
}

// MARK: sessions

/// Is an Ed25519 signature, 64 bytes, that of the message by a public key of 32 bytes? An error says no, too.
public typealias SignatureCheck = (_ publicKey: [UInt8], _ signature: [UInt8], _ message: [UInt8]) throws -> Bool

/// The platform's; nil where it has none.
private var platformCheck: SignatureCheck? {
    #if canImport(CryptoKit)
        return { publicKey, signature, message in
            try Curve25519.Signing.PublicKey(rawRepresentation: publicKey).isValidSignature(signature, for: message)
        }
    #else
        return nil
    #endif
}

/// A check for C, and what it threw.
private final class Callback {
    let check: SignatureCheck
    var problem: Error?

    init(_ check: @escaping SignatureCheck) { self.check = check }

    func verify(_ publicKey: [UInt8], _ signature: [UInt8], _ message: [UInt8]) -> Bool {
        do { return try check(publicKey, signature, message) } catch { problem = error }
        return false
    }
}

/// How a bundle is opened; edge_options in edge_sdk.h says more.
///
/// Give `manifestSHA256`, which `edge-sdk inspect` shows, in every application, or `publicKeys`, the texts of PEM files, of
/// whose owners one has to have signed the bundle: without either whoever may write the bundle may change
/// thresholds.
public struct Options {
    public var manifestSHA256: String?
    public var publicKeys: [String]?
    public var minimumVersion: String?
    public var operatingPoint: String?
    public var threshold: Double?
    public var variant: String?
    public var threads: Int32
    /// Pictures are one face each, cut out; otherwise they are frames, in which a locator finds the face.
    public var cutOut: Bool
    public var selftest: Bool
    public var smallestFace: Double
    /// Verifies the signature by `publicKeys`; nil: CryptoKit, where it is there, or else OpenSSL, if the library was built
    /// with it.
    public var verifyEd25519: SignatureCheck?

    public init(
        manifestSHA256: String? = nil, publicKeys: [String]? = nil, minimumVersion: String? = nil,
        operatingPoint: String? = nil, threshold: Double? = nil, variant: String? = nil, threads: Int32 = 1,
        cutOut: Bool = false, selftest: Bool = true, smallestFace: Double = 0,
        verifyEd25519: SignatureCheck? = nil
    ) {
        self.verifyEd25519 = verifyEd25519
        (self.publicKeys, self.minimumVersion) = (publicKeys, minimumVersion)
        (self.manifestSHA256, self.operatingPoint, self.threshold) = (manifestSHA256, operatingPoint, threshold)
        (self.variant, self.threads, self.cutOut) = (variant, threads, cutOut)
        (self.selftest, self.smallestFace) = (selftest, smallestFace)
    }
}

/// A bundle's folder or .edge file, opened: use `Verifier`, `SpoofDetector` and `Locator`. Threads may share it.
public class Session: @unchecked Sendable {
    fileprivate let handle: OpaquePointer

    fileprivate init(_ bundle: String, _ options: Options, _ locator: Locator?, task: Int32) throws {
        if options.publicKeys?.isEmpty == true { throw EdgeError(status: 1, message: "publicKeys holds no key") }
        var texts: [UnsafeMutablePointer<CChar>] = []
        defer { texts.forEach { $0.deallocate() } }
        func text(_ value: String?) throws -> UnsafePointer<CChar>? {
            guard let bytes = value?.utf8CString else { return nil }
            if bytes.dropLast().contains(0) { throw EdgeError(status: 1, message: "a text with NUL") }
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
            for (place, byte) in bytes.enumerated() { copy[place] = byte }
            texts.append(copy)
            return UnsafePointer(copy)
        }
        var given = edge_options()
        given.struct_size = UInt32(MemoryLayout<edge_options>.size)
        given.threads = options.threads
        given.manifest_sha256 = try text(options.manifestSHA256)
        given.operating_point = try text(options.operatingPoint)
        given.variant = try text(options.variant)
        given.minimum_version = try text(options.minimumVersion)
        given.faces = options.cutOut ? 1 : 0
        given.skip_selftest = options.selftest ? 0 : 1
        given.locator = locator?.handle
        given.smallest_face = options.smallestFace
        var opened: OpaquePointer?
        let keys = try options.publicKeys?.map { try text($0) } ?? []
        let path = try text(bundle)
        let callback = (options.verifyEd25519 ?? (keys.isEmpty ? nil : platformCheck)).map(Callback.init)
        if let callback = callback {
            given.verify_context = Unmanaged.passUnretained(callback).toOpaque()
            given.verify_ed25519 = { context, publicKey, signature, message, length in
                guard let context = context else { return 0 }
                let callback = Unmanaged<Callback>.fromOpaque(context).takeUnretainedValue()
                func bytes(_ from: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
                    Array(UnsafeBufferPointer(start: from, count: count))
                }
                return callback.verify(bytes(publicKey, 32), bytes(signature, 64), bytes(message, length)) ? 1 : 0
            }
        }
        try withExtendedLifetime((locator, callback)) {
            try keys.withUnsafeBufferPointer { keys in
                given.public_keys = keys.isEmpty ? nil : keys.baseAddress
                given.public_key_count = keys.count
                try withUnsafePointer(to: options.threshold ?? 0) { threshold in
                    given.threshold = options.threshold == nil ? nil : threshold
                    let status = edge_open(path, &given, &opened)
                    if let problem = callback?.problem {
                        throw EdgeError(status: 14, message: "the signature could not be verified: \(problem)")
                    }
                    try check(status)
                }
            }
        }
        guard let session = opened else { throw EdgeError(status: 13, message: "no session") }
        handle = session
        var info = edge_info()
        info.struct_size = UInt32(MemoryLayout<edge_info>.size)
        try check(edge_describe(session, &info))
        if info.task != task { throw EdgeError(status: 1, message: "\(bundle) is a bundle of another task") }
    }

    deinit { edge_close(handle) }

    /// A call with the handle, during which nothing frees it: Swift may let go of an object after its last use.
    fileprivate func use<Result>(_ call: (OpaquePointer) throws -> Result) rethrows -> Result {
        try withExtendedLifetime(self) { try call(handle) }
    }

    /// Replay the golden trial, and throw unless this device computes what the bundle promises.
    public func selftest() throws {
        var replay = edge_replay()
        replay.struct_size = UInt32(MemoryLayout<edge_replay>.size)
        try use { try check(edge_selftest($0, &replay)) }
        if replay.passed == 0 {
            throw EdgeError(status: 6, message: "the golden trial scores \(replay.score) instead of \(replay.expected)")
        }
    }
}

/// Finds faces, for the sessions that are opened with it.
public final class Locator: Session, @unchecked Sendable {
    public init(bundle: String, options: Options = Options()) throws { try super.init(bundle, options, nil, task: 3) }
}

/// Verifies, enrols and identifies people.
public final class Verifier: Session, @unchecked Sendable {
    public init(bundle: String, options: Options = Options(), locator: Locator? = nil) throws {
        try super.init(bundle, options, locator, task: 1)
    }

    public func verify(references: [Picture], query: Picture) throws -> Verification {
        var result = edge_verification()
        result.struct_size = UInt32(MemoryLayout<edge_verification>.size)
        try use { session in
            try withImages(references) { pointers, count in
                try withImage(query) { try check(edge_verify(session, pointers, count, $0, &result)) }
            }
        }
        return Verification(result)
    }

    public func verify(_ enrolled: Template, query: Picture) throws -> Verification {
        var result = edge_verification()
        result.struct_size = UInt32(MemoryLayout<edge_verification>.size)
        try use { session in
            try withExtendedLifetime(enrolled) {
                try withImage(query) { try check(edge_verify_template(session, enrolled.handle, $0, &result)) }
            }
        }
        return Verification(result)
    }

    /// A template of one person's pictures, each of which must be fit to be enrolled.
    public func enroll(references: [Picture]) throws -> Template {
        var enrolled: OpaquePointer?
        try use { session in try withImages(references) { try check(edge_enroll(session, $0, $1, &enrolled)) } }
        return try Template(taking: enrolled)
    }

    /// Templates made ready to be searched.
    public func gallery(_ templates: [Template]) throws -> Gallery {
        var gallery: OpaquePointer?
        try use { session in
            try withExtendedLifetime(templates) {
                let handles: [OpaquePointer?] = templates.map(\.handle)
                try handles.withUnsafeBufferPointer {
                    try check(edge_gallery_new(session, $0.baseAddress, $0.count, &gallery))
                }
            }
        }
        return try Gallery(taking: gallery)
    }

    /// Who of the gallery is it, if anybody?
    public func identify(_ gallery: Gallery, probe: Picture) throws -> Identification {
        var result = edge_identification()
        result.struct_size = UInt32(MemoryLayout<edge_identification>.size)
        try use { session in
            try withExtendedLifetime(gallery) {
                try withImage(probe) { try check(edge_identify(session, gallery.handle, $0, &result, nil, 0)) }
            }
        }
        return Identification(result)
    }
}

/// Tells live faces from pictures of faces. Ask of many frames in a row: one frame says little.
public final class SpoofDetector: Session, @unchecked Sendable {
    public init(bundle: String, options: Options = Options(), locator: Locator? = nil) throws {
        try super.init(bundle, options, locator, task: 2)
    }

    public func detect(_ picture: Picture) throws -> Liveness {
        var result = edge_liveness()
        result.struct_size = UInt32(MemoryLayout<edge_liveness>.size)
        try use { session in try withImage(picture) { try check(edge_detect(session, $0, &result)) } }
        return Liveness(result)
    }
}

// MARK: templates

/// Enrolled references of one person: biometric data, to be kept encrypted.
public final class Template: @unchecked Sendable {
    fileprivate let handle: OpaquePointer

    fileprivate init(taking made: OpaquePointer?) throws {
        guard let made = made else { throw EdgeError(status: 13, message: "no template") }
        handle = made
    }

    /// Of plain bytes: whoever can write them can have made them.
    public convenience init(bytes: [UInt8]) throws {
        var made: OpaquePointer?
        try bytes.withUnsafeBytes { try check(edge_template_from_bytes($0.baseAddress, $0.count, &made)) }
        try self.init(taking: made)
    }

    /// What this key encrypted, and nothing else; compare `id` with the one beside the person's account.
    public convenience init(encrypted: [UInt8], key: [UInt8]) throws {
        var made: OpaquePointer?
        try encrypted.withUnsafeBytes { data in
            try key.withUnsafeBytes {
                try check(edge_template_decrypt(data.baseAddress, data.count, $0.baseAddress, $0.count, &made))
            }
        }
        try self.init(taking: made)
    }

    deinit { edge_template_free(handle) }

    /// By which an application revokes it; empty of one that was enrolled before there were ids.
    public var id: String { withExtendedLifetime(self) { String(cString: edge_template_id(handle)) } }

    /// Encrypted by a key of 32 random bytes, which the keychain keeps, as Python's `Template.load()` reads it.
    public func encrypted(key: [UInt8]) throws -> [UInt8] {
        try written { edge_template_encrypt(handle, key, key.count, $0, $1, $2) }
    }

    /// In plain, as Python's `Template.load()` reads it.
    public func bytes() throws -> [UInt8] { try written { edge_template_to_bytes(handle, $0, $1, $2) } }

    /// What a call writes that is first asked for the length: a buffer, its capacity, and where the length goes.
    private func written(
        by write: (UnsafeMutableRawPointer?, Int, UnsafeMutablePointer<Int>) -> edge_status
    ) throws -> [UInt8] {
        try withExtendedLifetime(self) {
            var length = 0
            try check(write(nil, 0, &length))
            var made = [UInt8](repeating: 0, count: length)
            try check(made.withUnsafeMutableBytes { write($0.baseAddress, $0.count, &length) })
            return made
        }
    }
}

/// Whom to search among.
public final class Gallery: @unchecked Sendable {
    fileprivate let handle: OpaquePointer

    fileprivate init(taking made: OpaquePointer?) throws {
        guard let made = made else { throw EdgeError(status: 13, message: "no gallery") }
        handle = made
    }

    deinit { edge_gallery_free(handle) }
}
