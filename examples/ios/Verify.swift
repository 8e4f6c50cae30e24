// Are two signatures by the same person? On iOS, with TensorFlow Lite and the bundle as a folder of the app.
//
//     edge-sdk slice deepsign --format tflite --precision int8 --out deepsign   (add it to Xcode as a folder reference)
//
//     let folder = Bundle.main.url(forResource: "deepsign", withExtension: nil)!
//     let verifier = try SignatureVerifier(folder: folder, point: "fmr_1e-2")
//     try verifier.selftest()  // once, at the app's first start on this device
//     let result = try verifier.verify(reference: reference, query: query)  // JPEG or PNG data, as the camera gives it
//
// Pods: TensorFlowLiteSwift and OpenCV; the pre-processing is C++, the same for every platform (Preprocess.mm).
// Variants fp32 and int8; not int8-io, because TensorFlow Lite's Swift API has no int8 tensors (its C API has).
// Every error is thrown, so nothing is ever accepted by accident. One thread at a time may use a verifier.

import CryptoKit
import Foundation
import TensorFlowLite

struct VerifyError: Error, CustomStringConvertible {
    let description: String
}

struct VerifyResult {
    let accepted: Bool
    let score: Double
    let threshold: Double
}

/// The part of manifest.json that is needed here; JSONDecoder refuses a manifest that lacks any of it.
private struct Manifest: Decodable {
    struct File: Decodable {
        let path: String
        let sha256: String
    }
    struct Point: Decodable {
        let kind: String
        let name: String
        let threshold: Double?
        let reason: String?
        let references: Int?
    }
    struct Input: Decodable {
        let name: String
    }
    struct Graph: Decodable {
        let inputs: [Input]
        let files: [String: File]
    }
    struct Variant: Decodable {
        let format: String
        let precision: String
        let operating_points: [Point]
    }
    struct Score: Decodable {
        let kind: String
        let metric: String?
        let background: String?
    }
    struct Golden: Decodable {
        let inputs: [File]
        let scores: [String: Double]
        let tolerance: [String: Double]
    }
    let schema_version: Int
    let score: Score
    let graphs: [Graph]
    let variants: [Variant]
    let golden: Golden
    let auxiliary: [File]
}

final class SignatureVerifier {
    private let folder: URL
    private let manifest: Manifest
    private let variant: Manifest.Variant
    private let operations: Data
    private let threshold: Double
    private let compare: ([Double], [Double]) throws -> Double
    private let interpreter: Interpreter

    /// `point` names an operating point of the variant; `edge-sdk inspect` lists them.
    init(folder: URL, point: String) throws {
        let data = try Data(contentsOf: folder.appendingPathComponent("manifest.json"))
        let digest = try Data(contentsOf: folder.appendingPathComponent("manifest.sha256"))
        try require(digest == Data("\(sha256(data))  manifest.json\n".utf8), "manifest.json is damaged")
        let manifest = try JSONDecoder().decode(Manifest.self, from: data)
        try require(manifest.schema_version == 1, "a manifest of another version: update the app")
        compare = try SignatureVerifier.comparison(manifest, in: folder)

        let variants = manifest.variants.filter { $0.format == "tflite" }
        try require(variants.count == 1, "slice the bundle to one TFLite variant")
        let points = variants[0].operating_points.filter { $0.name == point && ($0.references ?? 1) == 1 }
        guard let chosen = points.first, chosen.kind == "verify", let threshold = chosen.threshold else {
            throw VerifyError(description: "no threshold for \(point): \(points.first?.reason ?? "not in the bundle")")
        }

        try require(
            manifest.graphs.count == 1 && manifest.graphs[0].inputs.count == 1, "the bundle does not take one picture")
        guard let file = manifest.graphs[0].files["\(variants[0].precision).tflite"] else {
            throw VerifyError(description: "the bundle has no file of \(variants[0].precision).tflite")
        }

        self.folder = folder
        self.manifest = manifest
        self.variant = variants[0]
        self.threshold = threshold
        self.operations = try SignatureVerifier.operations(in: data)
        _ = try SignatureVerifier.read(file, in: folder)  // signed with the app, so nobody swaps it later
        var options = Interpreter.Options()
        options.threadCount = 1
        interpreter = try Interpreter(modelPath: folder.appendingPathComponent(file.path).path, options: options)
        try interpreter.allocateTensors()
    }

    func verify(reference: Data, query: Data) throws -> VerifyResult {
        let score = try compare(embed(reference), embed(query))
        return VerifyResult(accepted: score >= threshold, score: score, threshold: threshold)
    }

    /// Replay the golden trial: throws if this device does not give the score that the bundle promises.
    func selftest() throws {
        let id = "\(variant.precision).tflite"
        let golden = manifest.golden
        guard golden.inputs.count == 2, let expected = golden.scores[id], let tolerance = golden.tolerance[id] else {
            throw VerifyError(description: "the bundle has no golden trial for \(id)")
        }
        let embeddings = try golden.inputs.map { try embed(SignatureVerifier.read($0, in: folder)) }
        let score = try compare(embeddings[0], embeddings[1])
        try require(
            abs(score - expected) <= tolerance, "\(id) scores \(score) instead of \(expected): do not use it here")
    }

    /// The embedding of a picture file, of length 1.
    private func embed(_ picture: Data) throws -> [Double] {
        let values = try Preprocess.prepare(operations, picture: picture)  // float32
        try interpreter.copy(values, toInputAt: 0)
        try interpreter.invoke()
        let output = try interpreter.output(at: 0)
        try require(output.dataType == .float32, "the output is \(output.dataType)")
        return try normalised(output.data.withUnsafeBytes { $0.bindMemory(to: Float.self).map(Double.init) })
    }

    /// Compares two unit embeddings by the bundle's score.
    private static func comparison(_ manifest: Manifest, in folder: URL) throws -> ([Double], [Double]) throws -> Double {
        if manifest.score.kind == "person_model" {
            guard let file = manifest.auxiliary.first(where: { $0.path == manifest.score.background }) else {
                throw VerifyError(description: "the bundle has no background")
            }
            return try PersonModel(read(file, in: folder)).score
        }
        try require(manifest.score.kind == "embedding_distance", "the bundle does not compare embeddings")
        // As the thresholds were measured.
        let rounded = { (value: Double) in (value * 1e6).rounded(.toNearestOrEven) / 1e6 }
        let cosine = { (first: [Double], second: [Double]) in
            min(1, max(-1, zip(first, second).reduce(0) { $0 + $1.0 * $1.1 }))
        }
        switch manifest.score.metric {
        case "euclidean": return { 1 - rounded((2 - 2 * cosine($0, $1)).squareRoot()) / 2 }
        case "cosine": return { (1 + rounded(cosine($0, $1))) / 2 }
        default: throw VerifyError(description: "unknown metric \(manifest.score.metric ?? "none")")
        }
    }

    /// The bytes of a file entry, checked.
    private static func read(_ file: Manifest.File, in folder: URL) throws -> Data {
        let data = try Data(contentsOf: folder.appendingPathComponent(file.path))
        try require(sha256(data) == file.sha256, "\(file.path) is damaged")
        return data
    }

    /// The pre-processing as JSON, for C++ to read: its kinds differ in their fields, so Swift does not decode them.
    private static func operations(in manifest: Data) throws -> Data {
        let root = try JSONSerialization.jsonObject(with: manifest) as? [String: Any]
        guard let operations = root?["preprocessing"] as? [Any]
        else { throw VerifyError(description: "the bundle has no pre-processing") }
        return try JSONSerialization.data(withJSONObject: operations)
    }
}

/// The score person_model of one reference: edge_sdk/scoring/background.py says what the file holds.
private struct PersonModel {
    private let mean: [Double]
    private let numbers: [Double]  // scatter, widest, slope, offset
    private let triangles: [[Double]]

    init(_ data: Data) throws {
        let bytes = [UInt8](data)
        let magic = Array("EDGE-BACKGROUND-1\n".utf8)
        try require(bytes.starts(with: magic), "the background is damaged")
        var at = magic.count
        func take<Value>(_: Value.Type) throws -> Value {
            let size = MemoryLayout<Value>.size
            try require(bytes.count - at >= size, "the background is cut off")
            defer { at += size }
            return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: Value.self) }
        }
        let size = Int(try take(UInt16.self))
        let width = try take(UInt16.self)
        _ = try take(UInt32.self)  // how many people it was fitted to
        numbers = try (0..<4).map { _ in try take(Double.self) }
        mean = try (0..<size).map { _ in Double(try take(Float.self)) }
        triangles = try (0..<2).map { _ in
            let scales = try (0..<size).map { _ in Double(try take(Float.self)) }
            return try (0..<size).flatMap { row in
                try (0...row).map { column in
                    try (width == 2 ? Double(take(Int16.self)) : Double(take(Int8.self))) * scales[column]
                }
            }
        }
        try require(at == bytes.count && size > 0, "the background is damaged")
    }

    func score(_ reference: [Double], _ query: [Double]) throws -> Double {
        try require(reference.count == mean.count && query.count == mean.count, "embeddings of another size")
        let count = Double(mean.count)
        let distance = max(squares(triangles[0], zip(query, reference).map(-)) / (2 * count), 1e-12)
        let unusual = max(squares(triangles[1], zip(query, mean).map(-)) / count, 1e-12)
        let ratio = numbers[3] + numbers[2] * (log(min(numbers[0], numbers[1]) * unusual) / 2 - log(distance))
        try require(ratio.isFinite, "a score that is not finite")
        return (1e8 / (1 + exp(-min(30, max(-30, ratio))))).rounded(.toNearestOrEven) / 1e8
    }

    /// The squared length of a row times a lower triangle, whose values lie row by row.
    private func squares(_ triangle: [Double], _ row: [Double]) -> Double {
        var sums = [Double](repeating: 0, count: row.count)
        var at = 0
        for i in row.indices {
            for j in 0...i {
                sums[j] += row[i] * triangle[at]
                at += 1
            }
        }
        return sums.reduce(0) { $0 + $1 * $1 }
    }
}

/// As 64 lower-case hex digits.
private func sha256(_ data: Data) -> String {
    SHA256.hash(data: data).map { String(format: "%02x", $0) }.joined()
}

private func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    if !condition { throw VerifyError(description: message()) }
}

/// Length 1; an embedding without a direction must never match anything.
private func normalised(_ embedding: [Double]) throws -> [Double] {
    try require(embedding.allSatisfy(\.isFinite), "an embedding that is not finite")
    let largest = embedding.map(abs).max() ?? 0
    try require(largest > 0, "an embedding that is all zero")
    let scaled = embedding.map { $0 / largest }  // tiny and huge values survive squaring
    let length = scaled.reduce(0) { $0 + $1 * $1 }.squareRoot()
    return scaled.map { $0 / length }
}
