// swift-tools-version:5.7
// EdgeSDK: edge_sdk.h for Swift. The library itself, libedge_sdk, is built with CMake (native/CMakeLists.txt) for the
// platform, and lies where the linker looks:
//
//     swift build -Xlinker -L../../build/native
import PackageDescription

let package = Package(
    name: "EdgeSDK",
    platforms: [.iOS(.v13), .macOS(.v10_15), .tvOS(.v13), .watchOS(.v6)],  // which have CryptoKit
    products: [.library(name: "EdgeSDK", targets: ["EdgeSDK"])],
    targets: [
        .systemLibrary(name: "CEdgeSDK"),
        .target(name: "EdgeSDK", dependencies: ["CEdgeSDK"]),
    ]
)
