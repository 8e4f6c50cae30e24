#include "images.hpp"  // OpenCV before Apple's headers: both define NO
#include "quality.hpp"

#import "Preprocess.h"

@implementation Preprocess

+ (nullable NSData *)prepare:(NSData *)operations picture:(NSData *)picture error:(NSError **)error {
    try {
        const auto *json = static_cast<const char *>(operations.bytes);
        const auto *bytes = static_cast<const std::uint8_t *>(picture.bytes);
        const edge::Prepared prepared = edge::prepare(edge::Json::parse(json, json + operations.length),
                                                      edge::decode({bytes, bytes + picture.length}));
        if (!prepared.blocked.empty()) throw std::runtime_error(prepared.blocked);
        return [NSData dataWithBytes:prepared.tensor.ptr<float>() length:prepared.tensor.total() * sizeof(float)];
    } catch (const std::exception &failure) {
        if (error) {
            *error = [NSError errorWithDomain:@"edge-sdk"
                                         code:1
                                     userInfo:@{NSLocalizedDescriptionKey : @(failure.what())}];
        }
        return nil;
    }
}

@end
