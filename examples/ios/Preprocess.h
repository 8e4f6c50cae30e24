// The C++ pre-processing for Swift: put this header into the bridging header, Preprocess.mm and examples/cpp/*.hpp
// into the target, and link opencv2.framework.

#import <Foundation/Foundation.h>

NS_ASSUME_NONNULL_BEGIN

@interface Preprocess : NSObject

/// A picture file (JPEG, PNG) to the network's input: float32, row by row in [0, 1]. `operations` is the manifest's
/// JSON array. An unusable picture is an error. Swift: `try Preprocess.prepare(operations, picture: data)`.
+ (nullable NSData *)prepare:(NSData *)operations
                     picture:(NSData *)picture
                       error:(NSError **)error NS_SWIFT_NAME(prepare(_:picture:));

@end

NS_ASSUME_NONNULL_END
