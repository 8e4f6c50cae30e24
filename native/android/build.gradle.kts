// The device library and its Kotlin classes as an Android library, on ONNX Runtime:
//
//     OPENCV_ANDROID_SDK=.../OpenCV-android-sdk gradle assembleRelease
//
// NLOHMANN_JSON_DIR: the folder of nlohmann_jsonConfig.cmake, where it is not Debian's.
//
// In an application: include(":edge-sdk") with this folder as its projectDir, and implementation(project(":edge-sdk")).
plugins {
    id("com.android.library") version "8.7.3"
    id("org.jetbrains.kotlin.android") version "2.1.0"
}

val onnxruntime = "com.microsoft.onnxruntime:onnxruntime-android:1.23.2"

// Its package holds the headers too, but not where CMake looks for them.
val engine: Configuration by configurations.creating { isTransitive = false }
val engineFolder = layout.buildDirectory.dir("onnxruntime")
val unpackEngine by tasks.registering(Sync::class) {
    from({ engine.map(::zipTree) }) {
        include("headers/**", "jni/**")
        eachFile { path = path.replaceFirst("headers/", "include/").replaceFirst("jni/", "lib/") }
        includeEmptyDirs = false
    }
    into(engineFolder)
}
tasks.matching { it.name.startsWith("configureCMake") }.configureEach { dependsOn(unpackEngine) }

dependencies {
    engine("$onnxruntime@aar")
    implementation(onnxruntime)  // brings libonnxruntime.so into the application
}

android {
    namespace = "edgesdk"
    compileSdk = 35
    defaultConfig {
        minSdk = 24
        consumerProguardFiles("consumer-rules.pro")
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
        externalNativeBuild {
            cmake {
                targets += "edge_sdk_jni"
                arguments += listOf(
                    "-DANDROID_STL=c++_shared",
                    "-DEDGE_SDK_ONNXRUNTIME=${engineFolder.get().asFile}",
                    "-DOpenCV_DIR=${System.getenv("OPENCV_ANDROID_SDK")}/sdk/native/jni",
                    "-Dnlohmann_json_DIR=${System.getenv("NLOHMANN_JSON_DIR") ?: "/usr/share/cmake/nlohmann_json"}",
                )
            }
        }
    }
    externalNativeBuild {
        cmake { path = file("src/main/cpp/CMakeLists.txt") }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
    kotlinOptions { jvmTarget = "11" }
}
