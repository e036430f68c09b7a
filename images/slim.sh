#!/bin/sh
# slim.sh: takes out of /opt/tunekeeper what no stage and no controller reads, about 270 MB with
# its bytecode. Found by size; that nothing misses it is what running the images shows.
set -eu
cd "$(/opt/tunekeeper/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

# What packages ship for their own builds: tests, C headers, Cython sources, static libraries.
find numpy scipy pyarrow -type d \( -name tests -o -name include \) -prune -exec rm -rf {} +
find numpy scipy pyarrow -type f \
  \( -name '*.a' -o -name '*.pyx' -o -name '*.pxi' -o -name '*.pxd' \) -delete
rm -rf pyarrow/src

# pyarrow reads and writes files that are open already: no Flight, data sets, encryption or file
# systems of its own. The libraries that its core links against stay; each is there under three
# names, of which the loader asks for the middle one.
rm -rf pyarrow/libarrow_flight.so* pyarrow/libarrow_s3.so* pyarrow/*_flight.* pyarrow/flight.py \
  pyarrow/_s3fs.* pyarrow/_gcsfs.* pyarrow/_azurefs.* pyarrow/_hdfs.* pyarrow/_orc.* \
  pyarrow/_dataset* pyarrow/_substrait.* pyarrow/_acero.* pyarrow/*parquet_encryption* \
  pyarrow/_pyarrow_cpp_tests.*
for library in pyarrow/lib*.so.*.*.*; do
  rm -f "$library" "${library%.so.*}.so"
done

# scipy: parts that neither scipy.stats nor scipy.optimize imports.
rm -rf scipy/cluster scipy/datasets scipy/differentiate scipy/fftpack scipy/io scipy/misc \
  scipy/odr scipy/signal

# kubernetes: the controller sends raw bytes on the client's transport. The typed calls and
# models load on first use, which never comes.
for client in kubernetes/client kubernetes/aio/client; do
  rm -rf "$client/api"
  find "$client/models" -type f ! -name __init__.py -delete
done

# botocore: descriptions of services other than S3 and those that hand out credentials for it.
find botocore/data -mindepth 1 -maxdepth 1 -type d \
  ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} +

# pygments: rich looks at a lexer only to colour source code, and finds Python's for tracebacks.
find pygments/lexers -type f ! -name __init__.py ! -name _mapping.py ! -name python.py -delete

# transformers: without torch it is a library of tokenizers and their configurations. The
# trainer's image installs it again, whole.
find transformers/models -type f \( -name 'modeling_*' -o -name 'modular_*' \
  -o -name 'generation_*' -o -name 'image_processing_*' -o -name 'video_processing_*' \
  -o -name 'processing_*' -o -name 'feature_extraction_*' \) -delete

/opt/tunekeeper/bin/python /build/strip.py .
